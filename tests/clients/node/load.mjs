// The load that tests/clients/test_clients.py asks for on standard input, put on a client in Node.js.
import { text } from 'node:stream/consumers';

export const job = JSON.parse(await text(process.stdin));

const read = 'SELECT body FROM client_notes';
const mistakes = { none: [read], 'plain SET': [`SET ${job.setting} = '${job.tenants[0]}'`, read] };

/**
 * Runs the load, and prints what came of it as one line of JSON.
 *
 * work(tenant, body): one transaction of a tenant, which adds a note with a tag and returns the notes it then sees,
 * [{tenant, body}], and how many rows of other tenants it counted.
 * listTags(tenant): rows, one a note.
 * raw(...statements): one transaction without tenant context.
 */
export async function load(work, listTags, raw, close) {
  const result = { transactions: 0, errors: 0, foreign_rows: 0, own_rows: 0, refused: {} };

  const transaction = async (tenant, body) => {
    try {
      const { notes, foreign } = await work(tenant, body);
      const own = notes.filter((note) => String(note.tenant) === String(tenant));
      result.transactions += 1;
      result.own_rows += own.filter((note) => note.body === body).length;
      result.foreign_rows += notes.length - own.length + Number(foreign);
    } catch (error) {
      result.errors += 1;
      result.error ??= String(error.cause ?? error);
    }
  };

  // What the server said to each mistake, wherever the library keeps it, and how often.
  const mistake = async ([name, statements]) => {
    const { code, hint } = await raw(...statements).then(() => ({}), (error) => error.cause ?? error);
    const answer = `${name}: ${code} ${hint}`;
    result.refused[answer] = (result.refused[answer] ?? 0) + 1;
  };

  const client = async (number) => {
    const tenant = job.tenants[number % job.tenants.length];
    for (let turn = 0; turn < job.transactions; turn += 1) {
      await transaction(tenant, `client ${number}, turn ${turn}`);
      if (turn === 1) for (const each of Object.entries(mistakes)) await mistake(each);
    }
  };

  await Promise.all(Array.from({ length: job.clients }, (_, number) => client(number)));
  result.tags = (await listTags(job.tenants[0])).length;
  await close();
  console.log(JSON.stringify(result));
}
