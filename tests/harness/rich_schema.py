"""A database with one of nearly everything that PostgreSQL can define."""

ROLES = """
CREATE ROLE "Rich Owner"; CREATE ROLE clerk; CREATE ROLE auditor;
"""

DATABASE = """
COMMENT ON DATABASE {database} IS 'one of everything';
ALTER DATABASE {database} OWNER TO "Rich Owner";
ALTER DATABASE {database} SET work_mem = '5MB';
ALTER DATABASE {database} CONNECTION LIMIT 77;
ALTER ROLE clerk IN DATABASE {database} SET statement_timeout = '1h';
GRANT CONNECT ON DATABASE {database} TO clerk;
REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
"""
"""What is said about the database itself; ``{database}`` is its name."""

SUBSCRIPTION = """
CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere password=planted-secret-4711'
  PUBLICATION part, more
  WITH (connect = false, slot_name = 'kept', binary = true);
"""

RICH = """
CREATE SCHEMA "odd schema" AUTHORIZATION clerk;
COMMENT ON SCHEMA "odd schema" IS 'it''s odd';
GRANT USAGE ON SCHEMA "odd schema" TO auditor WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE clerk IN SCHEMA "odd schema" GRANT SELECT ON TABLES TO auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE clerk REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE EXTENSION hstore SCHEMA "odd schema";
CREATE EXTENSION file_fdw;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_relation_filepath(regclass) FROM PUBLIC;
GRANT SELECT ON pg_catalog.pg_statistic TO auditor;
REVOKE EXECUTE ON FUNCTION "odd schema".hstore(text, text) FROM PUBLIC;

CREATE TYPE mood AS ENUM ('good', 'bad', 'ugly ☃');
ALTER TYPE mood ADD VALUE 'meh' AFTER 'good';
CREATE TYPE pair AS (first int, second text COLLATE "C");
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN positive AS int DEFAULT 1 NOT NULL CONSTRAINT above_zero CHECK (VALUE > 0);
COMMENT ON TYPE mood IS 'how one feels';
COMMENT ON CONSTRAINT above_zero ON DOMAIN positive IS 'really';
GRANT USAGE ON TYPE mood TO clerk;
ALTER TYPE pair OWNER TO clerk;
CREATE COLLATION bytewise (provider = libc, locale = 'C');
CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;

CREATE FUNCTION add_up(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE STRICT
  PARALLEL SAFE COST 7 SET work_mem = '6MB' AS 'SELECT a + b';
CREATE FUNCTION modern(x int) RETURNS int LANGUAGE sql RETURN x + 1;
CREATE FUNCTION modern_atomic(x int) RETURNS SETOF int LANGUAGE sql ROWS 5
  BEGIN ATOMIC SELECT x; SELECT x + 2; END;
CREATE FUNCTION tabular(VARIADIC n int[], OUT total bigint) LANGUAGE plpgsql SECURITY DEFINER
  AS $$BEGIN SELECT sum(v) INTO total FROM unnest(n) v; END$$;
CREATE PROCEDURE tidy(INOUT x int) LANGUAGE plpgsql AS $$BEGIN x := x + 1; END$$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE FUNCTION count_in(int, int, VARIADIC int[]) RETURNS int LANGUAGE sql IMMUTABLE
  AS 'SELECT $1 + $2';
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int, INITCOND = '1', PARALLEL = SAFE);
CREATE AGGREGATE summed(first int, VARIADIC others int[]) (SFUNC = count_in, STYPE = int);
CREATE FUNCTION mood_text(mood) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''';
CREATE CAST (mood AS text) WITH FUNCTION mood_text(mood) AS ASSIGNMENT;
COMMENT ON FUNCTION add_up(int, int) IS 'sums';
GRANT EXECUTE ON FUNCTION add_up(int, int) TO clerk;
REVOKE EXECUTE ON FUNCTION modern(int) FROM PUBLIC;
CREATE FUNCTION near(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 2';
CREATE OPERATOR ~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = near, COMMUTATOR = ~~~,
  RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR FAMILY abs_ops USING btree;
CREATE OPERATOR CLASS abs_int_ops FOR TYPE int USING btree FAMILY abs_ops AS
  OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
  FUNCTION 1 btint4cmp(int, int);
ALTER OPERATOR FAMILY abs_ops USING btree ADD OPERATOR 1 < (int, bigint),
  FUNCTION 1 (int, bigint) btint48cmp(int, bigint);
CREATE FUNCTION handler() RETURNS language_handler LANGUAGE c
  AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE TRUSTED LANGUAGE plsample HANDLER handler;
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION plain (COPY = english);
ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR word WITH plain, simple;

CREATE SEQUENCE counted AS smallint INCREMENT 3 MINVALUE 2 MAXVALUE 99 START 5 CACHE 4 CYCLE;
GRANT USAGE ON SEQUENCE counted TO clerk;
CREATE TABLE customers (
  id serial PRIMARY KEY, name varchar(40) COLLATE bytewise NOT NULL, mood mood DEFAULT 'bad',
  born date, gone int, "Size in (m)" numeric(8, 2) DEFAULT 1.50 CHECK ("Size in (m)" > 0),
  note text, pair pair, age positive,
  doubled int GENERATED ALWAYS AS (id * 2) STORED,
  CONSTRAINT named UNIQUE NULLS NOT DISTINCT (name, born) WITH (fillfactor = 70)
) WITH (fillfactor = 80, autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE customers DROP COLUMN gone;
ALTER TABLE customers ALTER name SET STATISTICS 500, ALTER born SET (n_distinct = 7),
  ALTER note SET STORAGE EXTERNAL;
ALTER TABLE customers CLUSTER ON customers_pkey;
COMMENT ON TABLE customers IS 'who buys'; COMMENT ON COLUMN customers.name IS 'called';
GRANT SELECT, INSERT ON customers TO clerk; GRANT UPDATE (note) ON customers TO auditor;
ALTER TABLE customers OWNER TO "Rich Owner";
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY,
  customer int CONSTRAINT buyer REFERENCES customers ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED,
  during tsrange, total money,
  CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&) WHERE (customer > 0));
ALTER TABLE orders ADD CONSTRAINT late CHECK (customer <> 13) NOT VALID;
ALTER TABLE orders REPLICA IDENTITY FULL;
CREATE INDEX orders_by_customer ON orders (customer DESC NULLS LAST) INCLUDE (total);
CREATE INDEX orders_expr ON orders ((customer + 1), lower(during)) WHERE customer > 0;
ALTER INDEX orders_expr ALTER COLUMN 1 SET STATISTICS 77;
COMMENT ON INDEX orders_by_customer IS 'fast'; COMMENT ON CONSTRAINT buyer ON orders IS 'fk';
CREATE STATISTICS together (dependencies, ndistinct) ON id, customer FROM orders;
CREATE STATISTICS computed ON (customer + 1), (id % 10) FROM orders;
ALTER STATISTICS together SET STATISTICS 9;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON orders AS RESTRICTIVE FOR UPDATE TO clerk, auditor
  USING (customer = 1) WITH CHECK (customer < 5);
CREATE POLICY everyone ON orders USING (true);
COMMENT ON POLICY mine ON orders IS 'hands off';
CREATE TRIGGER plain_touch BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch('a');
CREATE TRIGGER only_big AFTER UPDATE OF total ON orders FOR EACH ROW
  WHEN (NEW.customer > 3) EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER later AFTER DELETE ON orders DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE orders DISABLE TRIGGER plain_touch; ALTER TABLE orders ENABLE ALWAYS TRIGGER only_big;
COMMENT ON TRIGGER only_big ON orders IS 'large';
CREATE UNLOGGED TABLE fleeting (n int NOT NULL);
CREATE UNIQUE INDEX fleeting_n ON fleeting (n);
ALTER TABLE fleeting REPLICA IDENTITY USING INDEX fleeting_n;
CREATE TABLE typed OF pair (first WITH OPTIONS NOT NULL);

CREATE TABLE animals (name text NOT NULL CHECK (name <> ''), legs int DEFAULT 4);
CREATE TABLE pets (owner text) INHERITS (animals);
CREATE TABLE strays (legs int DEFAULT 3, found date, name text NOT NULL, CHECK (name <> ''));
ALTER TABLE strays ADD CONSTRAINT animals_name_check CHECK (name <> '');
ALTER TABLE strays INHERIT animals;
CREATE TABLE events (at timestamptz NOT NULL, kind int NOT NULL, what text DEFAULT 'x',
  customer int REFERENCES customers, PRIMARY KEY (at, kind), CONSTRAINT whole CHECK (kind > 0))
  PARTITION BY RANGE (at);
CREATE INDEX events_kind ON events (kind);
CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
  PARTITION BY LIST (kind);
CREATE TABLE events_26_even PARTITION OF events_26 (what DEFAULT 'even') FOR VALUES IN (2, 4);
CREATE TABLE events_rest (what text, kind int NOT NULL, customer int, at timestamptz NOT NULL,
  CONSTRAINT whole CHECK (kind > 0));
ALTER TABLE events ATTACH PARTITION events_rest DEFAULT;
CREATE INDEX only_here ON events_rest (what);
CREATE TRIGGER cloned AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE events_rest DISABLE TRIGGER cloned;
CREATE TABLE hashed (k int) PARTITION BY HASH ((k % 7));
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE refers (at timestamptz, kind int, FOREIGN KEY (at, kind) REFERENCES events);

CREATE VIEW totals WITH (security_barrier, security_invoker = true) AS
  SELECT o.customer, count(*) AS n, max(c.name) AS name
  FROM orders o JOIN customers c ON c.id = o.customer
  GROUP BY 1;
CREATE VIEW simple AS SELECT id, name FROM customers WHERE id > 5 WITH LOCAL CHECK OPTION;
ALTER VIEW simple ALTER name SET DEFAULT 'nobody';
COMMENT ON VIEW simple IS 'a view'; COMMENT ON COLUMN simple.id IS 'its column';
GRANT SELECT (id) ON simple TO clerk;
CREATE TRIGGER instead INSTEAD OF DELETE ON simple FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE silent AS ON INSERT TO totals DO INSTEAD NOTHING;
CREATE RULE also AS ON UPDATE TO customers WHERE OLD.id > 100 DO ALSO SELECT NEW.id;
ALTER TABLE customers DISABLE RULE also;
COMMENT ON RULE also ON customers IS 'ruled';
CREATE MATERIALIZED VIEW best AS SELECT max(id) AS m, 'x'::text AS t FROM orders;
ALTER MATERIALIZED VIEW best ALTER t SET STORAGE MAIN;
CREATE UNIQUE INDEX best_m ON best (m);
CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA;
CREATE VIEW chained AS SELECT * FROM totals;

CREATE FOREIGN DATA WRAPPER remote OPTIONS (debug 'true');
CREATE SERVER far TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER remote OPTIONS (host 'h', port '1');
CREATE USER MAPPING FOR clerk SERVER far OPTIONS (user 'u', password 'planted-secret-4711');
CREATE USER MAPPING FOR PUBLIC SERVER far;
CREATE FOREIGN TABLE abroad (n int OPTIONS (column_name 'N') NOT NULL) SERVER far OPTIONS (t 'x');
GRANT USAGE ON FOREIGN SERVER far TO clerk;
CREATE PUBLICATION part FOR TABLE customers (id, name) WHERE (id > 3), TABLE orders
  WITH (publish = 'insert, update');
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA "odd schema";
CREATE PUBLICATION wholesale FOR ALL TABLES;
ALTER PUBLICATION of_schema OWNER TO "Rich Owner";
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
  EXECUTE FUNCTION on_ddl();
ALTER EVENT TRIGGER watch DISABLE;
SELECT lo_from_bytea(4711, 'one'), lo_from_bytea(4712, 'two');
ALTER LARGE OBJECT 4711 OWNER TO clerk;
GRANT SELECT ON LARGE OBJECT 4712 TO auditor;
COMMENT ON LARGE OBJECT 4712 IS 'a blob';

ALTER FUNCTION near(int, int) DEPENDS ON EXTENSION hstore;
ALTER FUNCTION near(int, int) DEPENDS ON EXTENSION file_fdw;
ALTER PROCEDURE tidy(int) DEPENDS ON EXTENSION hstore;
ALTER TRIGGER later ON orders DEPENDS ON EXTENSION hstore;
ALTER INDEX orders_by_customer DEPENDS ON EXTENSION hstore;
ALTER INDEX orders_pkey DEPENDS ON EXTENSION hstore;
ALTER INDEX events_rest_pkey DEPENDS ON EXTENSION hstore;
ALTER MATERIALIZED VIEW best DEPENDS ON EXTENSION hstore;

CREATE TABLE "-dash" (n int CONSTRAINT "-c" CHECK (n > 0), "☃ %s {}" text);
CREATE TABLE "odd schema"."with ""quotes"" and spaces" (n int PRIMARY KEY);
CREATE TABLE explicit (n int);
GRANT ALL ON explicit TO CURRENT_USER; REVOKE ALL ON explicit FROM PUBLIC;
CREATE TABLE chain (n int);
GRANT SELECT ON chain TO clerk WITH GRANT OPTION;
SET ROLE clerk; GRANT SELECT ON chain TO auditor; RESET ROLE;
CREATE TABLE locked (n int); REVOKE DELETE, TRUNCATE ON locked FROM CURRENT_USER;
"""

NEWER = """
ALTER TABLE customers ADD COLUMN lazy int GENERATED ALWAYS AS (id * 3) VIRTUAL;
ALTER TABLE orders ADD CONSTRAINT unenforced CHECK (id > 0) NOT ENFORCED;
ALTER TABLE orders ADD CONSTRAINT present NOT NULL customer NOT VALID;
CREATE DOMAIN filled AS text CONSTRAINT something NOT NULL;
CREATE TABLE bookings (room int4range, at daterange,
  CONSTRAINT once PRIMARY KEY (room, at WITHOUT OVERLAPS));
CREATE PUBLICATION computed FOR TABLE customers WITH (publish_generated_columns = stored);
GRANT MAINTAIN ON orders TO clerk;
"""
"""What PostgreSQL 18 brought."""
