// Two tables of an app with Drizzle. Names and types that differ from database to database come from the environment.
import { bigint, foreignKey, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';

const { PREFIX = 'client', TENANT_COLUMN, TENANT_TYPE } = process.env;
const types = { bigint: (name) => bigint(name, { mode: 'number' }), integer, text, uuid };
const tenantColumn = () => types[TENANT_TYPE](TENANT_COLUMN).notNull();

// docs: begin
export const notes = pgTable(`${PREFIX}_notes`, {
  tenant: tenantColumn(),
  id: uuid('id').defaultRandom().notNull(),
  body: text('body').notNull(),
}, (table) => [
  primaryKey({ columns: [table.tenant, table.id] }),
]);

// The tenant is part of every key, and so of every reference: no row can refer to another tenant's.
export const tags = pgTable(`${PREFIX}_tags`, {
  tenant: tenantColumn(),
  id: uuid('id').defaultRandom().notNull(),
  noteId: uuid('note_id').notNull(),
  label: text('label').notNull(),
}, (table) => [
  primaryKey({ columns: [table.tenant, table.id] }),
  foreignKey({
    name: `${PREFIX}_tags_note`, // the one that Drizzle makes up is longer than PostgreSQL keeps: push would redo it
    columns: [table.tenant, table.noteId],
    foreignColumns: [notes.tenant, notes.id],
  }),
]);
// docs: end
