"""Write bands without looking up sketch and tenant for each: they go with their sketch by a trigger, as postings do."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

TABLE = "sketch_band"
PARENTS = {"document_id": "document_sketch.document_id", "tenant_id": "tenant.id"}
FORGET = """
create function forget_bands() returns trigger language plpgsql as $$
begin
  delete from sketch_band using gone
  where sketch_band.tenant_id = gone.tenant_id and sketch_band.document_id = gone.document_id;
  return null;
end $$
"""
TRIGGER = """
create trigger forget_bands after delete on document_sketch referencing old table as gone
for each statement execute function forget_bands()
"""


def upgrade() -> None:
    for column in PARENTS:
        op.drop_constraint(f"{TABLE}_{column}_fkey", TABLE, type_="foreignkey")
    op.execute(FORGET)
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("drop trigger forget_bands on document_sketch")
    op.execute("drop function forget_bands")
    for column, parent in PARENTS.items():
        table, key = parent.split(".")
        op.create_foreign_key(f"{TABLE}_{column}_fkey", TABLE, table, [column], [key], ondelete="CASCADE")
