const { PREFIX } = process.env;

// docs: begin
import { defineConfig } from 'drizzle-kit';

const url = new URL(process.env.DIRECT_DATABASE_URL);

export default defineConfig({
  dialect: 'postgresql',
  schema: './schema.mjs',
  out: './migrations',
  // Without these two, push drops every table that your schema does not name.
  schemaFilter: ['public'],
  tablesFilter: [`${PREFIX}_*`],
  // In a declared schema, beside your tables.
  migrations: { schema: 'public', table: `${PREFIX}_migrations` },
  // One by one: drizzle-kit takes node-postgres where it is installed, which reads sslmode=require as verify-full.
  dbCredentials: {
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    ssl: 'require',
  },
});
// docs: end
