// docs: begin
import pg from 'pg';

// uselibpqcompat: sslmode=require as everywhere else; without it node-postgres takes it for verify-full.
const pool = new pg.Pool({ connectionString: `${process.env.DATABASE_URL}&uselibpqcompat=true`, max: 50 });

async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

// What `work` runs on `client` sees and writes the rows of this tenant, and no others.
const asTenant = (tenant, work) =>
  transaction(async (client) => {
    await client.query('SELECT app.set_tenant($1)', [tenant]);
    return work(client);
  });

// A statement with a name is prepared once per connection; PgBouncer knows it on each of its own.
const listTags = (tenant) =>
  asTenant(tenant, async (client) => {
    const { rows } = await client.query({
      name: 'list-tags',
      text: 'SELECT n.body, t.label FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id',
    });
    return rows;
  });
// docs: end

import { job, load } from './load.mjs';

const { column } = job;
const statements = {
  note: `INSERT INTO client_notes (${column}, body) VALUES ($1, $2) RETURNING id`,
  tag: `INSERT INTO client_tags (${column}, note_id, label) VALUES ($1, $2, $3)`,
  notes: `SELECT n.${column} AS tenant, n.body FROM client_notes AS n JOIN client_tags AS t ON t.note_id = n.id`,
  foreign: `SELECT count(*) AS foreign FROM client_notes WHERE ${column} <> $1`,
};

const work = (tenant, body) =>
  asTenant(tenant, async (client) => {
    const run = async (name, ...values) => (await client.query({ name, text: statements[name], values })).rows;
    const [note] = await run('note', tenant, body);
    await run('tag', tenant, note.id, 'new');
    const notes = await run('notes');
    const [{ foreign }] = await run('foreign', tenant);
    return { notes, foreign };
  });

const raw = (...texts) =>
  transaction(async (client) => {
    for (const text of texts) await client.query(text);
  });

await load(work, listTags, raw, () => pool.end());
