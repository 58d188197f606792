// Signs a tenant token; prints one for the tenant it is given, for tests.
// docs: begin
import { createHmac } from 'node:crypto';

export function tenantToken(tenant, seconds = 60) {
  const content = `${tenant}.${Math.floor(Date.now() / 1000) + seconds}`;
  const signature = createHmac('sha256', process.env.TENANT_TOKEN_KEY).update(content).digest('hex');
  return `${content}.${signature}`;
}
// docs: end

console.log(tenantToken(process.argv[2]));
