/**
 * The tables of a database, as versions that follow one another.
 *
 * - `store`: one row: identity and version of the store, the last position, and up to where retention has forgotten. Writers lock
 *   it, so that positions follow one another in the order of commits.
 * - `states`: every state of every series by position, append-only, in one partition per day (UTC) of writing.
 * - `current`: of each series the newest state, with a column for everything that a filter names. Queries read it.
 * - `sources`: the stores that are archived here. `replicas`: up to where each replica of an archive has copied each of them.
 *   `spans`: for which time one of them copied everything. `gaps`: what none did, by position: a watch tells it in its place.
 *
 * Texts of columns are compared byte by byte (`collate "C"`): the order of other collations changes with the operating system,
 * and an index that was made with another order finds nothing.
 */

/** The version that this code reads and writes. */
export const VERSION = 2

/** A name that needs no quotes, because names of partitions and channels are made of it. */
export const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,39}$/

/** The columns of `current` that a filter names by value, each with an index in the order of answers. */
const FILTERED = [
  "kind, object_name",
  "object_name",
  "object_namespace",
  "namespace",
  "api_group",
  "cluster",
  "cluster_name",
  "type",
  "reason",
  "source"
] as const

const version1 = (schema: string): ReadonlyArray<string> => [
  `create table ${schema}.store (
     one boolean primary key default true check (one),
     id text collate "C" not null,
     version integer not null,
     created bigint not null,
     position bigint not null,
     day date not null,
     forgotten bigint not null,
     forgotten_last bigint
   ) with (fillfactor = 10)`,
  `create table ${schema}.states (
     position bigint not null,
     day date not null,
     cluster text collate "C" not null,
     origin text collate "C" not null,
     seq bigint not null,
     up_to bigint not null,
     event text collate "C" not null,
     primary key (position, day)
   ) partition by range (day)`,
  `create table ${schema}.current (
     cluster text collate "C" not null,
     cluster_name text collate "C",
     origin text collate "C" not null,
     seq bigint not null,
     up_to bigint not null,
     position bigint not null,
     day date not null,
     last bigint not null,
     kind text collate "C" not null,
     object_name text collate "C" not null,
     object_namespace text collate "C" not null,
     api_group text collate "C" not null,
     namespace text collate "C" not null,
     name text collate "C" not null,
     reason text collate "C" not null,
     type text collate "C" not null,
     source text collate "C" not null,
     labels text[] collate "C",
     message text collate "C" not null,
     primary key (origin, seq, cluster)
   )`,
  `create unique index current_position on ${schema}.current (position)`,
  `create index current_last on ${schema}.current (last, position)`,
  ...FILTERED.map(
    (columns) => `create index current_${columns.replace(", ", "_")} on ${schema}.current (${columns}, last, position)`
  ),
  `create index current_name on ${schema}.current (name)`,
  `create index current_labels on ${schema}.current using gin (labels) where labels is not null`,
  // A partition is made by the one who owns the table: a writer, who does not, may call this function.
  `create function ${schema}.add_partition(wanted date) returns void
   language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
   declare
     partition text := 'states_' || to_char(wanted, 'YYYYMMDD');
   begin
     if to_regclass(format('%I.%I', '${schema}', partition)) is null then
       -- Made first and attached then: reading goes on meanwhile, which it does not where a partition is made in place.
       execute format('create table %I.%I (like %I.states including all)', '${schema}', partition, '${schema}');
       execute format('alter table %I.states attach partition %I.%I for values from (%L) to (%L)',
         '${schema}', '${schema}', partition, wanted, wanted + 1);
     end if;
   end
   $body$`,
  `revoke execute on function ${schema}.add_partition(date) from public`,
  // What people read with psql, under the names of columns that an event has.
  `create view ${schema}.events as
   select c.position, nullif(c.cluster, '') as cluster, c.cluster_name, c.namespace, c.name, c.type, c.reason,
     c.kind, c.object_namespace, c.object_name, c.source,
     timestamptz 'epoch' + c.last * interval '1 microsecond' as last_seen,
     s.event::json ->> 'message' as message, s.event::json as event
   from ${schema}.current c join ${schema}.states s on s.position = c.position and s.day = c.day`
]

/** What only an archive has. */
const ARCHIVE_TABLES = ["sources", "replicas", "spans", "gaps"] as const

const version2 = (schema: string): ReadonlyArray<string> => [
  // A resourceVersion says which state of an event is meant only until its cluster is put back to an earlier one.
  `alter table ${schema}.states add column epoch integer not null default 0`,
  `alter table ${schema}.current add column epoch integer not null default 0`,
  // Whether a state is stored already. Most numbers are there once, and come in order.
  `create index states_state on ${schema}.states (up_to, hashtext(origin))`,
  `create table ${schema}.sources (
     key integer generated always as identity primary key,
     id text collate "C" not null unique,
     name text collate "C",
     aliases text[] collate "C" not null,
     uncertain boolean not null,
     place text collate "C",
     epoch integer not null default 0,
     mixed boolean not null default false
   )`,
  `create table ${schema}.replicas (
     source integer not null,
     replica text collate "C" not null,
     epoch integer not null,
     cursor text collate "C",
     since bigint,
     until bigint,
     why text collate "C",
     live boolean not null,
     running boolean not null,
     problem text collate "C",
     states bigint not null default 0,
     seen timestamptz not null,
     primary key (source, replica)
   ) with (fillfactor = 50)`,
  `create table ${schema}.spans (
     source integer not null,
     since bigint not null,
     until bigint not null,
     why text collate "C",
     primary key (source, since, until)
   )`,
  `create table ${schema}.gaps (
     position bigint primary key,
     source integer not null,
     store text collate "C" not null,
     since bigint not null,
     until bigint not null,
     reason text collate "C" not null
   )`,
  // Those who could read the store before can still read all of it.
  `do $body$
   declare
     reader oid;
   begin
     for reader in
       select distinct a.grantee from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
       where c.oid = '${schema}.store'::regclass and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
     loop
       execute format('grant select on ${ARCHIVE_TABLES.map((table) => `${schema}.${table}`).join(", ")} to %s',
         case when reader = 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(reader)) end);
     end loop;
   end
   $body$`
]

/** The statements that lead from each version to the next one. */
export const migrations: ReadonlyArray<(schema: string) => ReadonlyArray<string>> = [version1, version2]

/**
 * The statements that let a role read or write a store, or fill an archive: what the guide says, and what its tests execute.
 */
export const grants = (schema: string, role: string, as: "reader" | "writer" | "archiver"): ReadonlyArray<string> => {
  const name = `"${role.replaceAll('"', '""')}"`
  const on = (tables: ReadonlyArray<string>): string => tables.map((table) => `${schema}.${table}`).join(", ")
  const reading = [
    `grant usage on schema ${schema} to ${name}`,
    `grant select on ${on(["store", "states", "current", "events", ...ARCHIVE_TABLES])} to ${name}`
  ]
  if (as === "reader") return reading
  const writing = [
    ...reading,
    `grant insert on ${schema}.states to ${name}`,
    `grant insert, update on ${schema}.current to ${name}`,
    `grant update (position, day) on ${schema}.store to ${name}`,
    `grant execute on function ${schema}.add_partition(date) to ${name}`
  ]
  if (as === "writer") return writing
  return [
    ...writing,
    `grant insert, update on ${schema}.sources to ${name}`,
    `grant insert, update, delete on ${schema}.replicas to ${name}`,
    `grant insert, delete on ${schema}.spans to ${name}`,
    `grant insert on ${schema}.gaps to ${name}`
  ]
}
