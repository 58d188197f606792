-- A token for each tenant; of no tenant itself, so that a client can ask for it. The rows follow.
SET ROLE bench_owner;
CREATE TABLE tokens (tenant uuid PRIMARY KEY, token text NOT NULL);
COPY tokens FROM STDIN;
