create table party (id blob, generation int, role text, pod text, algorithm int, public blob, valid_from int, valid_to int,
  entry blob, enrolment blob, primary key (id, generation)) without rowid;
create table revocation (id blob, generation int, time_ms int, entry blob, primary key (id, generation)) without rowid;
create table message (device blob, seq int, boot int, kind int, time_ms int, power_w int, import_wh int, export_wh int,
  sealed blob, primary key (device, seq)) without rowid;
create index message_time on message (device, kind, time_ms);
create table conflict (device blob, seq int, time_ms int, sealed blob, primary key (device, seq)) without rowid;
create table delivered (device blob primary key, sealed blob) without rowid;
create table leaf (tree int, position int, sealed blob, primary key (tree, position)) without rowid;
create table node (tree int, position int, hash blob, primary key (tree, position)) without rowid;
create table checkpoint (epoch int, tree int, payload blob, primary key (epoch, tree)) without rowid;
create table epoch (epoch int primary key, root blob, count int, state text, block int);
create table flight (nonce int primary key, raw blob, max_fee_wei text, tip_wei text, first int, last int, block int);
create table chain_event (block int, position int, block_hash blob, transaction_hash blob, name text, epoch int, facts text,
  primary key (block, position)) without rowid;
create index chain_event_epoch on chain_event (epoch);
create table chain_cursor (block int primary key, hash blob);
create table chain_look (one int primary key check (one = 1), block int, hash blob, block_time_s int, seen_ms int);
create table statement (device blob, seq int, position int, receipt blob, primary key (device, seq)) without rowid;
create table setpoint (id blob primary key, device blob, sealed blob, pod text, decision blob, execution blob) without rowid;
create table document (kind text, id text, version int, body text, evidence blob, tree int, position int,
  primary key (kind, id, version)) without rowid;
create table finding (id integer primary key, time_ms int, what text);
create table kept (device blob primary key, seq int) without rowid;
create table kit (id blob primary key, authority blob, from_ms int, to_ms int, closed int) without rowid;
create table nonce (nonce blob primary key, kit blob, pod text, device blob) without rowid;
create table kit_revoked (kit blob primary key, time_ms int) without rowid;
create table rotation (nonce blob primary key, device blob, drawn_ms int, statement blob, state text, reason text) without rowid;
create table field_sensor (id text primary key, name text, key blob, last_seq int) without rowid;
create table field_reading (sensor text, seq int, time_ms int, voltage_mv int, current_ma int, power_w int, power_var int,
  breaker text, primary key (sensor, seq)) without rowid;
create index field_reading_time on field_reading (sensor, time_ms);
create table noted (name text, key text, digest blob, primary key (name, key)) without rowid;
create table seal (name text primary key, total blob, sealed blob) without rowid;
create table fact (name text primary key, value blob) without rowid;
create table market_event (session text, position int, time_ms int, party text, what text, body text,
  primary key (session, position)) without rowid;
create table dispatch (frame int primary key, body text) without rowid;
