-- Whether the server admits what the pools may open; a raised max_connections waits for its restart.
-- Parameters: wanted, connections of all pools with their reserves.
SELECT 'finds room for all its pools in the server' AS title, %(wanted)s <= admitted AS ok,
       format('the pools may open %%s connections, the server admits %%s', %(wanted)s, admitted) AS found,
       'pgstead deploy --restart; or smaller pools' AS fix
FROM (SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int) AS server (admitted);
