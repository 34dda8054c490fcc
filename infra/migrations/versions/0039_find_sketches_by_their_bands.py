"""Find sketches by their bands in an index: of an array, row-level security would let none be used."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

TABLE, SKETCHES = "sketch_band", "document_sketch"
MOVE = "insert into sketch_band select distinct tenant_id, unnest(bands), document_id from document_sketch"
MOVE_BACK = """
update document_sketch s set bands = array(select band from sketch_band b where b.document_id = s.document_id)
"""


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("band", sa.BigInteger(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document_sketch.document_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "band", "document_id"),
    )
    op.create_index(op.f(f"ix_{TABLE}_document_id"), TABLE, ["document_id"])
    _as_owner(MOVE)
    op.drop_index("ix_document_sketch_bands", table_name=SKETCHES)
    op.drop_column(SKETCHES, "bands")
    for statement in locks(TABLE):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on {TABLE} to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.add_column(SKETCHES, sa.Column("bands", sa.ARRAY(sa.BigInteger()), server_default="{}", nullable=False))
    op.alter_column(SKETCHES, "bands", server_default=None)
    op.execute(f"alter table {TABLE} no force row level security")
    _as_owner(MOVE_BACK)
    op.create_index("ix_document_sketch_bands", SKETCHES, ["bands"], postgresql_using="gin")
    op.drop_table(TABLE)


def _as_owner(statement: str) -> None:
    """Carry out what concerns the sketches of all tenants."""
    op.execute(f"alter table {SKETCHES} no force row level security")
    op.execute(statement)
    op.execute(f"alter table {SKETCHES} force row level security")
