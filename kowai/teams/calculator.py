"""A calculator for models, who miscount: read by Python's parser, computed in decimals, and no code is run."""

import ast
import operator
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, DecimalException, localcontext

from kowai.errors import InvalidInput

LONGEST = 500
DIGITS = 28  # of a result; a few more are carried along, so that a third three times is one
CARRIED = 40
LARGEST = 1_000  # the power of ten beyond which nobody reads the figure

Operation = Callable[..., Decimal]

SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
UNARY: dict[type[ast.unaryop], Operation] = {ast.UAdd: Decimal.__pos__, ast.USub: Decimal.__neg__}
CONSTANTS = {"pi": Decimal("3.141592653589793238462643383279502884197"), "e": Decimal(1).exp(Context(prec=CARRIED))}


class BadExpression(InvalidInput):
    code = "bad_expression"


def _floor(value: Decimal) -> Decimal:
    return value.to_integral_value(ROUND_FLOOR)


def _ceil(value: Decimal) -> Decimal:
    return value.to_integral_value(ROUND_CEILING)


def _floor_divide(one: Decimal, other: Decimal) -> Decimal:
    return _floor(one / other)


def _remainder(one: Decimal, other: Decimal) -> Decimal:
    return one - other * _floor(one / other)


def _least(*values: Decimal) -> Decimal:
    return min(values)


def _greatest(*values: Decimal) -> Decimal:
    return max(values)


def _sum(*values: Decimal) -> Decimal:
    return sum(values, Decimal(0))


def _round(value: Decimal, places: Decimal = Decimal(0)) -> Decimal:
    """Round half away from zero, as people who handle money do."""
    return value.quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP)


def _mean(*values: Decimal) -> Decimal:
    return _sum(*values) / len(values)


BINARY: dict[type[ast.operator], Operation] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: _floor_divide,
    ast.Mod: _remainder,
    ast.Pow: operator.pow,
}
FUNCTIONS: dict[str, Operation] = {
    "abs": Decimal.copy_abs,
    "round": _round,
    "floor": _floor,
    "ceil": _ceil,
    "sqrt": Decimal.sqrt,
    "ln": Decimal.ln,
    "log10": Decimal.log10,
    "exp": Decimal.exp,
    "min": _least,
    "max": _greatest,
    "sum": _sum,
    "mean": _mean,
}


def calculate(expression: str) -> str:
    """Return the value of an arithmetic expression in plain notation. Raises BadExpression for anything else.

    Numbers, + - * / // % **, brackets, pi, e and the functions above; ^ is a power, and // and % round down.
    """
    text = " ".join(expression.translate(SIGNS).replace("^", "**").split())
    if not text or len(text) > LONGEST or not text.isascii():
        raise BadExpression(f"An expression has between 1 and {LONGEST} plain characters.")
    try:
        tree = ast.parse(text, mode="eval")
        with localcontext(Context(prec=CARRIED, Emin=-LARGEST, Emax=LARGEST)):
            value = _value(tree.body, text)
        return _written(value)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise BadExpression("This is no arithmetic expression.", operator=type(error).__name__) from error
    except (DecimalException, ArithmeticError, ValueError, TypeError) as error:
        known = {"DivisionByZero": "Nothing can be divided by zero.", "Overflow": "The result is too large."}
        sentence = known.get(type(error).__name__, "This expression has no value.")
        raise BadExpression(sentence, operator=type(error).__name__) from error


def _value(node: ast.expr, text: str) -> Decimal:
    match node:
        case ast.Constant(value=int() | float()):
            return Decimal(text[node.col_offset : node.end_col_offset])  # not the float, which has lost digits
        case ast.BinOp() if type(node.op) in BINARY:
            return BINARY[type(node.op)](_value(node.left, text), _value(node.right, text))
        case ast.UnaryOp() if type(node.op) in UNARY:
            return UNARY[type(node.op)](_value(node.operand, text))
        case ast.Name() if node.id in CONSTANTS:
            return CONSTANTS[node.id]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*(_value(each, text) for each in node.args))
        case _:
            raise BadExpression(f"'{ast.unparse(node)[:50]}' is not part of arithmetic.")


def _written(value: Decimal) -> str:
    rounded = Context(prec=DIGITS, Emin=-LARGEST, Emax=LARGEST).plus(value)
    plain = format(rounded, "f")
    trimmed = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if trimmed in ("-0", "") else trimmed
