// docs: begin
import postgres from 'postgres';

// As many client connections as you like: PgBouncer shares few server connections among them.
const sql = postgres(process.env.DATABASE_URL, { max: 50 });

// What `work` runs on `tx` sees and writes the rows of this tenant, and no others.
const asTenant = (tenant, work) =>
  sql.begin(async (tx) => {
    await tx`SELECT app.set_tenant(${tenant})`;
    return work(tx);
  });

const listTags = (tenant) =>
  asTenant(tenant, (tx) => tx`
    SELECT n.body, t.label FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id`);
// docs: end

import { job, load } from './load.mjs';

const work = (tenant, body) =>
  asTenant(tenant, async (tx) => {
    const [note] = await tx`INSERT INTO client_notes ${tx({ [job.column]: tenant, body })} RETURNING id`;
    await tx`INSERT INTO client_tags ${tx({ [job.column]: tenant, note_id: note.id, label: 'new' })}`;
    const notes = await tx`
      SELECT n.${tx(job.column)} AS tenant, n.body FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id`;
    const [{ foreign }] = await tx`
      SELECT count(*) AS foreign FROM client_notes WHERE ${tx(job.column)} <> ${tenant}`;
    return { notes, foreign };
  });

const raw = (...statements) =>
  sql.begin(async (tx) => {
    for (const statement of statements) await tx.unsafe(statement);
  });

await load(work, listTags, raw, () => sql.end());
