// docs: begin
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { notes, tags } from './schema.mjs';

// As many client connections as you like: PgBouncer shares few server connections among them.
const client = postgres(process.env.DATABASE_URL, { max: 50 });
const db = drizzle(client);

// What `work` runs on `tx` sees and writes the rows of this tenant, and no others. On `db` there is no tenant.
const asTenant = (tenant, work) =>
  db.transaction(async (tx) => {
    await tx.execute(sql`SELECT app.set_tenant(${tenant})`);
    return work(tx);
  });

// A query with a name is a prepared statement; `await` on it without `.prepare()` works as well.
const listTags = (tenant) =>
  asTenant(tenant, (tx) =>
    tx.select({ body: notes.body, label: tags.label })
      .from(notes).innerJoin(tags, eq(tags.noteId, notes.id))
      .prepare('list-tags').execute());
// docs: end

import { count, ne } from 'drizzle-orm';
import { load } from './load.mjs';

const work = (tenant, body) =>
  asTenant(tenant, async (tx) => {
    const [note] = await tx.insert(notes).values({ tenant, body })
      .returning({ id: notes.id }).prepare('note').execute();
    await tx.insert(tags).values({ tenant, noteId: note.id, label: 'new' }).prepare('tag').execute();
    const found = await tx.select({ tenant: notes.tenant, body: notes.body })
      .from(notes).innerJoin(tags, eq(tags.noteId, notes.id)).prepare('notes').execute();
    const [{ foreign }] = await tx.select({ foreign: count() })
      .from(notes).where(ne(notes.tenant, tenant)).prepare('foreign').execute();
    return { notes: found, foreign };
  });

const raw = (...statements) =>
  db.transaction(async (tx) => {
    for (const statement of statements) await tx.execute(sql.raw(statement));
  });

await load(work, listTags, raw, () => client.end());
