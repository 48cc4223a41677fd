SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA bue;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE bue.audit (
    id bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    role text,
    action text NOT NULL,
    target text NOT NULL,
    run_id uuid,
    has_run boolean NOT NULL,
    detail text NOT NULL
);
ALTER TABLE bue.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME bue.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE bue.chunk (
    source bigint NOT NULL,
    first bigint NOT NULL,
    count bigint NOT NULL,
    value bytea NOT NULL
);
CREATE TABLE bue.counterpart (
    fanout bigint NOT NULL,
    first bigint NOT NULL,
    count bigint NOT NULL,
    original bigint NOT NULL
);
CREATE TABLE bue.done (
    id bigint NOT NULL,
    run bigint NOT NULL,
    node bigint NOT NULL,
    fanout bigint NOT NULL,
    state bigint NOT NULL,
    token bigint NOT NULL,
    worker text,
    attempts bigint NOT NULL,
    resets bigint NOT NULL,
    hint bigint,
    env bytea,
    value bytea,
    log bytea,
    ended_at bigint NOT NULL,
    scope_hint text,
    same boolean DEFAULT false NOT NULL
);
CREATE TABLE bue.failed (
    run bigint NOT NULL,
    job bigint NOT NULL,
    failed_at bigint DEFAULT 0 NOT NULL,
    step text DEFAULT ''::text NOT NULL,
    headline text DEFAULT ''::text NOT NULL
);
CREATE TABLE bue.fanout (
    id bigint NOT NULL,
    run bigint NOT NULL,
    node bigint NOT NULL,
    outside bigint NOT NULL,
    source bigint NOT NULL,
    first bigint NOT NULL,
    stride bigint NOT NULL,
    count bigint NOT NULL,
    expanded bigint NOT NULL,
    settled bigint NOT NULL,
    failed bigint NOT NULL
);
CREATE TABLE bue.history (
    interval_ms bigint NOT NULL,
    at bigint NOT NULL,
    runs bigint NOT NULL,
    blocked bigint NOT NULL,
    available bigint NOT NULL,
    running bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    cancelled bigint NOT NULL,
    workers bigint NOT NULL
);
CREATE TABLE bue.invocation (
    run bigint NOT NULL,
    pipeline text NOT NULL,
    version bigint NOT NULL,
    params text NOT NULL,
    priority bigint NOT NULL,
    created_at bigint DEFAULT 0 NOT NULL
);
CREATE TABLE bue.job (
    id bigint NOT NULL,
    run bigint NOT NULL,
    node bigint NOT NULL,
    fanout bigint NOT NULL,
    state bigint NOT NULL,
    waiting_for bigint NOT NULL,
    scope text NOT NULL,
    priority bigint NOT NULL,
    rate bigint NOT NULL,
    hinted bigint,
    env bytea,
    env_from bigint,
    available_at bigint NOT NULL,
    lease_end bigint,
    token bigint NOT NULL,
    reported bigint NOT NULL,
    worker text,
    attempts bigint NOT NULL,
    pendings bigint NOT NULL,
    pending_since bigint,
    releases bigint NOT NULL,
    resets bigint NOT NULL,
    blocked_by bigint,
    failure bytea,
    log bytea,
    isolated boolean DEFAULT false NOT NULL,
    expires_at bigint,
    scope_hint text,
    scope_from bigint,
    moved boolean DEFAULT false NOT NULL
);
CREATE TABLE bue.layout (
    version bigint NOT NULL
);
CREATE TABLE bue.lease_key (
    key bytea NOT NULL
);
CREATE TABLE bue.lender (
    run bigint NOT NULL,
    lender uuid NOT NULL
);
CREATE TABLE bue.pipeline (
    name text NOT NULL,
    current bigint NOT NULL
);
CREATE TABLE bue.pipeline_upload (
    pipeline text NOT NULL,
    version bigint NOT NULL,
    upload uuid NOT NULL
);
CREATE TABLE bue.pipeline_version (
    pipeline text NOT NULL,
    version bigint NOT NULL,
    hash bytea NOT NULL,
    script text NOT NULL,
    body bytea NOT NULL,
    published_at bigint NOT NULL
);
CREATE TABLE bue.plan (
    run bigint NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE bue.rate (
    id bigint NOT NULL,
    run bigint NOT NULL,
    step bigint NOT NULL,
    scope text NOT NULL,
    count bigint NOT NULL,
    per_ms bigint NOT NULL,
    next bigint NOT NULL,
    open_at bigint NOT NULL,
    key bytea DEFAULT '\x'::bytea NOT NULL,
    idle_at bigint DEFAULT 0 NOT NULL,
    at_most bigint DEFAULT 0 NOT NULL
);
ALTER TABLE bue.rate ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME bue.rate_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE bue.rate_start (
    rate bigint NOT NULL,
    slot bigint NOT NULL,
    at bigint NOT NULL
);
CREATE TABLE bue.rerun (
    run bigint NOT NULL,
    original uuid NOT NULL,
    first bigint NOT NULL,
    version bigint NOT NULL,
    reusable bytea NOT NULL,
    request text NOT NULL
);
CREATE TABLE bue.run (
    key bigint NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    first bigint NOT NULL,
    state bigint NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    version bigint NOT NULL,
    reset_at bigint,
    ending bigint,
    cancelled_at bigint
);
ALTER TABLE bue.run ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME bue.run_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE bue.run_param (
    name text NOT NULL,
    value text NOT NULL,
    created_at bigint NOT NULL,
    run bigint NOT NULL
);
CREATE TABLE bue.schedule (
    name text NOT NULL COLLATE pg_catalog."C",
    spec text NOT NULL,
    progress text NOT NULL,
    turn_at bigint
);
CREATE TABLE bue.schedule_run (
    run bigint NOT NULL,
    schedule text NOT NULL,
    due bigint NOT NULL
);
CREATE TABLE bue.sequence (
    next bigint NOT NULL
);
CREATE TABLE bue.step_count (
    run bigint NOT NULL,
    step bigint NOT NULL,
    blocked bigint DEFAULT 0 NOT NULL,
    available bigint DEFAULT 0 NOT NULL,
    running bigint DEFAULT 0 NOT NULL,
    completed bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    cancelled bigint DEFAULT 0 NOT NULL,
    attempts bigint DEFAULT 0 NOT NULL,
    retries bigint DEFAULT 0 NOT NULL,
    pendings bigint DEFAULT 0 NOT NULL,
    resets bigint DEFAULT 0 NOT NULL,
    run_ms bigint DEFAULT 0 NOT NULL,
    reused bigint DEFAULT 0 NOT NULL
);
INSERT INTO bue.audit OVERRIDING SYSTEM VALUE VALUES (1, 1000000, 'older', NULL, 'publish', 'older', NULL, false, '{}');
INSERT INTO bue.chunk VALUES (1, 0, 10, '\x00026330');
INSERT INTO bue.chunk VALUES (1, 10, 2, '\x00026331');
INSERT INTO bue.done VALUES (1, 1, 0, 0, 7, 1, 'w0', 0, 0, NULL, NULL, '\x02020a000263300200026331', '\x000561206c6f67', 1000000, NULL, false);
INSERT INTO bue.done VALUES (3, 1, 4, 0, 7, 1, 'w0', 0, 0, 7, '\x65', '\x00026130', '\x000561206c6f67', 1000000, NULL, false);
INSERT INTO bue.done VALUES (4, 1, 2, 2, 7, 1, 'w0', 0, 0, NULL, NULL, '\x00026131', '\x000561206c6f67', 1000000, NULL, false);
INSERT INTO bue.done VALUES (5, 1, 3, 2, 7, 1, 'w0', 0, 0, NULL, NULL, '\x000162', '\x000561206c6f67', 1000000, NULL, false);
INSERT INTO bue.failed VALUES (1, 8, 1000000, 'a', 'broken');
INSERT INTO bue.fanout VALUES (2, 1, 1, 0, 1, 4, 2, 12, 12, 2, 1);
INSERT INTO bue.history VALUES (10000, 1000000, 1, 12, 9, 1, 3, 1, 0, 2);
INSERT INTO bue.invocation VALUES (1, 'older', 1, '{"day":"2026-11-01","depth":3}', 0, 1000000);
INSERT INTO bue.job VALUES (7, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (11, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (12, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (13, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (14, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (15, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (16, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (17, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (18, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (19, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (20, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (21, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (22, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (23, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (24, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (25, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (26, 1, 2, 2, 2, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (27, 1, 3, 2, 0, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (2, 1, 1, 0, 4, 0, '', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (10, 1, 2, 2, 3, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, 1030000, 1, 0, 'w0', 0, 0, NULL, 0, 0, NULL, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (6, 1, 2, 2, 1, 0, 'default', 0, 0, NULL, NULL, NULL, 1005000, NULL, 1, 1, 'w0', 0, 1, 1000000, 0, 0, NULL, NULL, '\x000561206c6f67', false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (9, 1, 3, 2, 6, 1, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, 8, NULL, NULL, false, NULL, NULL, NULL, false);
INSERT INTO bue.job VALUES (8, 1, 2, 2, 5, 0, 'default', 0, 0, NULL, NULL, NULL, 1000000, NULL, 1, 1, 'w0', 1, 0, NULL, 0, 0, NULL, '\x000662726f6b656e0000', '\x000561206c6f67', false, NULL, NULL, NULL, false);
INSERT INTO bue.layout VALUES (1);
INSERT INTO bue.layout VALUES (2);
INSERT INTO bue.layout VALUES (3);
INSERT INTO bue.layout VALUES (4);
INSERT INTO bue.layout VALUES (5);
INSERT INTO bue.layout VALUES (6);
INSERT INTO bue.layout VALUES (7);
INSERT INTO bue.layout VALUES (8);
INSERT INTO bue.layout VALUES (9);
INSERT INTO bue.layout VALUES (10);
INSERT INTO bue.layout VALUES (11);
INSERT INTO bue.lease_key VALUES ('\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
INSERT INTO bue.plan VALUES (1, '\x010406736f757263650006736f75726365000873746570732e7079010764656661756c74000000000000c09240000080b899290000000161000161000873746570732e7079010764656661756c74000000000000c09240000080b899290000000162000162000873746570732e7079010764656661756c74000000000000c09240000080b8992900000005726174656400057261746564000873746570732e7079010764656661756c74000000000000c09240000080b899290101e8070000000300000000000101017800010200020101010101000302010100020000040302010000030101046c6973740000000100020300010004040004000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000001');
INSERT INTO bue.rate OVERRIDING SYSTEM VALUE VALUES (1, 1, 3, 'default', 1, 1000, 1, 1001000, '\x', 0, 0);
INSERT INTO bue.rate_start VALUES (1, 0, 1000000);
INSERT INTO bue.run OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-0000-0000-000000000001', 'older', 1, 0, 1000000, NULL, 10, NULL, NULL, NULL);
INSERT INTO bue.run_param VALUES ('day', 't2026-11-01', 1000000, 1);
INSERT INTO bue.run_param VALUES ('depth', 'j3', 1000000, 1);
INSERT INTO bue.sequence VALUES (28);
INSERT INTO bue.step_count VALUES (1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0);
INSERT INTO bue.step_count VALUES (1, 3, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0);
INSERT INTO bue.step_count VALUES (1, 1, 0, 9, 1, 1, 1, 0, 4, 0, 1, 0, 9, 0);
INSERT INTO bue.step_count VALUES (1, 2, 11, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0);
SELECT pg_catalog.setval('bue.audit_id_seq', 1, true);
SELECT pg_catalog.setval('bue.rate_id_seq', 1, true);
SELECT pg_catalog.setval('bue.run_key_seq', 1, true);
ALTER TABLE ONLY bue.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bue.chunk
    ADD CONSTRAINT chunk_pkey PRIMARY KEY (source, first);
ALTER TABLE ONLY bue.counterpart
    ADD CONSTRAINT counterpart_pkey PRIMARY KEY (fanout, first);
ALTER TABLE ONLY bue.done
    ADD CONSTRAINT done_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bue.failed
    ADD CONSTRAINT failed_pkey PRIMARY KEY (run, job);
ALTER TABLE ONLY bue.fanout
    ADD CONSTRAINT fanout_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bue.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (interval_ms, at);
ALTER TABLE ONLY bue.invocation
    ADD CONSTRAINT invocation_pkey PRIMARY KEY (run);
ALTER TABLE ONLY bue.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bue.layout
    ADD CONSTRAINT layout_pkey PRIMARY KEY (version);
ALTER TABLE ONLY bue.lender
    ADD CONSTRAINT lender_pkey PRIMARY KEY (run, lender);
ALTER TABLE ONLY bue.pipeline
    ADD CONSTRAINT pipeline_pkey PRIMARY KEY (name);
ALTER TABLE ONLY bue.pipeline_upload
    ADD CONSTRAINT pipeline_upload_pkey PRIMARY KEY (pipeline, version, upload);
ALTER TABLE ONLY bue.pipeline_version
    ADD CONSTRAINT pipeline_version_pkey PRIMARY KEY (pipeline, version);
ALTER TABLE ONLY bue.plan
    ADD CONSTRAINT plan_pkey PRIMARY KEY (run);
ALTER TABLE ONLY bue.rate
    ADD CONSTRAINT rate_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bue.rate_start
    ADD CONSTRAINT rate_start_pkey PRIMARY KEY (rate, slot);
ALTER TABLE ONLY bue.rerun
    ADD CONSTRAINT rerun_pkey PRIMARY KEY (run);
ALTER TABLE ONLY bue.run
    ADD CONSTRAINT run_id_key UNIQUE (id);
ALTER TABLE ONLY bue.run_param
    ADD CONSTRAINT run_param_pkey PRIMARY KEY (name, value, created_at, run);
ALTER TABLE ONLY bue.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (key);
ALTER TABLE ONLY bue.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (name);
ALTER TABLE ONLY bue.schedule_run
    ADD CONSTRAINT schedule_run_pkey PRIMARY KEY (run);
ALTER TABLE ONLY bue.step_count
    ADD CONSTRAINT step_count_pkey PRIMARY KEY (run, step);
CREATE INDEX audit_action ON bue.audit USING btree (action, at, id);
CREATE INDEX audit_actor ON bue.audit USING btree (actor, at, id);
CREATE INDEX audit_actor_action ON bue.audit USING btree (actor, action, at, id);
CREATE INDEX audit_expiring ON bue.audit USING btree (at) WHERE (NOT has_run);
CREATE INDEX audit_run ON bue.audit USING btree (run_id, at, id) WHERE (run_id IS NOT NULL);
CREATE INDEX audit_time ON bue.audit USING btree (at, id);
CREATE INDEX failed_step ON bue.failed USING btree (step, failed_at, job);
CREATE INDEX failed_time ON bue.failed USING btree (failed_at, job);
CREATE INDEX fanout_first ON bue.fanout USING btree (run, first);
CREATE INDEX fanout_growing ON bue.fanout USING btree (id) WHERE (expanded < count);
CREATE INDEX invocation_pipeline ON bue.invocation USING btree (pipeline, created_at, run);
CREATE INDEX invocation_version ON bue.invocation USING btree (pipeline, version);
CREATE INDEX job_counted ON bue.job USING btree (rate) WHERE ((state = 3) AND (rate > 0));
CREATE INDEX job_expiring ON bue.job USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (state = ANY (ARRAY[(1)::bigint, (2)::bigint])));
CREATE INDEX job_isolated ON bue.job USING btree (worker) WHERE ((state = 3) AND isolated);
CREATE INDEX job_moved ON bue.job USING btree (run) WHERE moved;
CREATE INDEX job_of_rate ON bue.job USING btree (rate) WHERE (rate > 0);
CREATE INDEX job_parked ON bue.job USING btree (available_at) WHERE (state = 1);
CREATE INDEX job_rated ON bue.job USING btree (rate, scope, priority DESC, id) WHERE ((state = 2) AND (rate > 0));
CREATE INDEX job_ready ON bue.job USING btree (scope, priority DESC, id) WHERE ((state = 2) AND (rate = 0));
CREATE INDEX job_running ON bue.job USING btree (lease_end) WHERE (state = 3);
CREATE INDEX job_suspect ON bue.job USING btree (scope, available_at) WHERE ((state = 2) AND (releases >= 3));
CREATE UNIQUE INDEX pipeline_content ON bue.pipeline_version USING btree (pipeline, hash);
CREATE INDEX rate_idle ON bue.rate USING btree (run, step, idle_at) WHERE (key <> '\x'::bytea);
CREATE UNIQUE INDEX rate_step ON bue.rate USING btree (run, step, key);
CREATE INDEX run_created ON bue.run USING btree (created_at, key);
CREATE INDEX run_name ON bue.run USING btree (name, created_at, key);
CREATE INDEX run_param_run ON bue.run_param USING btree (run);
CREATE INDEX run_state ON bue.run USING btree (state, created_at, key);
CREATE INDEX schedule_run_due ON bue.schedule_run USING btree (schedule, due);
CREATE INDEX schedule_turn ON bue.schedule USING btree (turn_at) WHERE (turn_at IS NOT NULL);
SET search_path = bue;
ALTER TABLE job ADD COLUMN started_at BIGINT;
ALTER TABLE job ADD COLUMN earlier BYTEA;
ALTER TABLE done ADD COLUMN started_at BIGINT;
ALTER TABLE done ADD COLUMN run_ms BIGINT;
ALTER TABLE done ADD COLUMN cpu_ms BIGINT;
ALTER TABLE done ADD COLUMN peak_memory BIGINT;
ALTER TABLE done ADD COLUMN earlier BYTEA;
CREATE TABLE step_usage (
    run BIGINT NOT NULL,
    step BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    cpu_ms BIGINT NOT NULL,
    peak_memory BIGINT NOT NULL,
    PRIMARY KEY (run, step, bucket)
);
ALTER TABLE invocation ADD COLUMN state BIGINT NOT NULL DEFAULT 0;
UPDATE invocation SET state = run.state FROM run WHERE run.key = invocation.run;
CREATE INDEX invocation_state ON invocation (pipeline, state, created_at, run);
ALTER TABLE history ADD COLUMN delayed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN handed_back BIGINT NOT NULL DEFAULT 0;
INSERT INTO layout VALUES (12);
UPDATE job SET started_at = 1000000 WHERE state = 3;
UPDATE done SET started_at = 999000, run_ms = 10, cpu_ms = 4, peak_memory = 41943040 WHERE token > 0;
INSERT INTO step_usage VALUES (1, 1, 3, 2, 8, 41943040);
RESET search_path;
