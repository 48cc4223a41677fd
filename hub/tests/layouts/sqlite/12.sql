BEGIN TRANSACTION;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    role TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    run_id BLOB,
    has_run INTEGER NOT NULL,          -- whether the run exists; its entries are kept as long
    detail TEXT NOT NULL               -- JSON
);
INSERT INTO "audit" VALUES(1,1000000,'older',NULL,'publish','older',NULL,0,'{}');
CREATE TABLE chunk (
    source INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (source, first)
) WITHOUT ROWID;
INSERT INTO "chunk" VALUES(1,0,10,X'00026330');
INSERT INTO "chunk" VALUES(1,10,2,X'00026331');
CREATE TABLE counterpart (
    fanout INTEGER NOT NULL,
    first INTEGER NOT NULL,            -- the first of these rounds
    count INTEGER NOT NULL,
    original INTEGER NOT NULL,         -- id of the first node of the first round's counterpart
    PRIMARY KEY (fanout, first)
) WITHOUT ROWID;
CREATE TABLE done (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    fanout INTEGER NOT NULL,
    state INTEGER NOT NULL,
    token INTEGER NOT NULL,
    worker TEXT,
    attempts INTEGER NOT NULL,
    resets INTEGER NOT NULL,
    hint INTEGER,                      -- priority that dependants inherit
    env BLOB,                          -- env that dependants inherit
    value BLOB,
    log BLOB,
    ended_at INTEGER NOT NULL
, scope_hint TEXT, same INTEGER NOT NULL DEFAULT 0, started_at INTEGER, run_ms INTEGER, cpu_ms INTEGER, peak_memory INTEGER, earlier BLOB);
INSERT INTO "done" VALUES(1,1,0,0,7,1,'w0',0,0,NULL,NULL,X'02020A000263300200026331',X'000561206C6F67',1000000,NULL,0,999000,10,4,41943040,NULL);
INSERT INTO "done" VALUES(3,1,4,0,7,1,'w0',0,0,7,X'65',X'00026130',X'000561206C6F67',1000000,NULL,0,999000,10,4,41943040,NULL);
INSERT INTO "done" VALUES(4,1,2,2,7,1,'w0',0,0,NULL,NULL,X'00026131',X'000561206C6F67',1000000,NULL,0,999000,10,4,41943040,NULL);
INSERT INTO "done" VALUES(5,1,3,2,7,1,'w0',0,0,NULL,NULL,X'000162',X'000561206C6F67',1000000,NULL,0,999000,10,4,41943040,NULL);
CREATE TABLE failed (run INTEGER NOT NULL, job INTEGER NOT NULL, failed_at INTEGER NOT NULL DEFAULT 0, step TEXT NOT NULL DEFAULT '', headline TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, job)) WITHOUT ROWID;
INSERT INTO "failed" VALUES(1,8,1000000,'a','broken');
CREATE TABLE fanout (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    outer INTEGER NOT NULL,            -- the fan-out around it, 0 where none
    source INTEGER NOT NULL,           -- the job over whose list it runs
    first INTEGER NOT NULL,            -- id of the first node of the first round
    stride INTEGER NOT NULL,           -- ids a round takes
    count INTEGER NOT NULL,            -- rounds
    expanded INTEGER NOT NULL,         -- rounds that exist
    settled INTEGER NOT NULL,          -- rounds in which nothing is open
    failed INTEGER NOT NULL            -- settled rounds with a failed job
);
INSERT INTO "fanout" VALUES(2,1,1,0,1,4,2,12,12,2,1);
CREATE TABLE history (
    interval_ms INTEGER NOT NULL,
    at INTEGER NOT NULL,               -- the beginning of the slot
    runs INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    available INTEGER NOT NULL,
    running INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    workers INTEGER NOT NULL, delayed INTEGER NOT NULL DEFAULT 0, handed_back INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (interval_ms, at)
) WITHOUT ROWID;
INSERT INTO "history" VALUES(10000,1000000,1,12,9,1,3,1,0,2,0,0);
CREATE TABLE invocation (
    run INTEGER PRIMARY KEY,
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    params TEXT NOT NULL,              -- what the caller gave, as JSON
    priority INTEGER NOT NULL          -- added to that of every step
, created_at INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0);
INSERT INTO "invocation" VALUES(1,'older',1,'{"day":"2026-11-01","depth":3}',0,1000000,0);
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    fanout INTEGER NOT NULL,           -- the fan-out whose round it is part of, 0 at the top level
    state INTEGER NOT NULL,
    waiting_for INTEGER NOT NULL,      -- parents that are not completed
    scope TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rate INTEGER NOT NULL,             -- its row of `rate`, 0 where none
    hinted INTEGER,                    -- node whose result gave the priority
    env BLOB,
    env_from INTEGER,                  -- node whose result gave the env
    available_at INTEGER NOT NULL,
    lease_end INTEGER,
    token INTEGER NOT NULL DEFAULT 0,  -- grows with every lease
    reported INTEGER NOT NULL DEFAULT 0, -- token of the last report that was taken
    worker TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, -- that failed
    pendings INTEGER NOT NULL DEFAULT 0,
    pending_since INTEGER,
    releases INTEGER NOT NULL DEFAULT 0,
    resets INTEGER NOT NULL DEFAULT 0, -- of its call; counted at the call's first job
    blocked_by INTEGER,
    failure BLOB,
    log BLOB
, isolated INTEGER NOT NULL DEFAULT 0, expires_at INTEGER, scope_hint TEXT, scope_from INTEGER, moved INTEGER NOT NULL DEFAULT 0, started_at INTEGER, earlier BLOB);
INSERT INTO "job" VALUES(2,1,1,0,4,0,'',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(6,1,2,2,1,0,'default',0,0,NULL,NULL,NULL,1005000,NULL,1,1,'w0',0,1,1000000,0,0,NULL,NULL,X'000561206C6F67',0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(7,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(8,1,2,2,5,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,1,1,'w0',1,0,NULL,0,0,NULL,X'000662726F6B656E0000',X'000561206C6F67',0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(9,1,3,2,6,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,8,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(10,1,2,2,3,0,'default',0,0,NULL,NULL,NULL,1000000,1030000,1,0,'w0',0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,1000000,NULL);
INSERT INTO "job" VALUES(11,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(12,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(13,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(14,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(15,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(16,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(17,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(18,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(19,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(20,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(21,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(22,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(23,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(24,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(25,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(26,1,2,2,2,0,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "job" VALUES(27,1,3,2,0,1,'default',0,0,NULL,NULL,NULL,1000000,NULL,0,0,NULL,0,0,NULL,0,0,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL,NULL);
CREATE TABLE lease_key (key BLOB NOT NULL);
INSERT INTO "lease_key" VALUES(X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F');
CREATE TABLE lender (run INTEGER NOT NULL, lender BLOB NOT NULL, PRIMARY KEY (run, lender)) WITHOUT ROWID;
CREATE TABLE pipeline (
    name TEXT PRIMARY KEY,
    current INTEGER NOT NULL           -- the version that new runs get
) WITHOUT ROWID;
CREATE TABLE pipeline_upload (
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    upload BLOB NOT NULL,              -- on whose behalf its code is in the bucket
    PRIMARY KEY (pipeline, version, upload)
) WITHOUT ROWID;
CREATE TABLE pipeline_version (
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    hash BLOB NOT NULL,                -- of the body
    script TEXT NOT NULL,
    body BLOB NOT NULL,                -- plan and code, postcard
    published_at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, version)
);
CREATE TABLE plan (run INTEGER PRIMARY KEY, body BLOB NOT NULL);
INSERT INTO "plan" VALUES(1,X'010406736F757263650006736F75726365000873746570732E7079010764656661756C74000000000000C09240000080B899290000000161000161000873746570732E7079010764656661756C74000000000000C09240000080B899290000000162000162000873746570732E7079010764656661756C74000000000000C09240000080B8992900000005726174656400057261746564000873746570732E7079010764656661756C74000000000000C09240000080B899290101E8070000000300000000000101017800010200020101010101000302010100020000040302010000030101046C6973740000000100020300010004040004000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000000001');
CREATE TABLE rate (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    scope TEXT NOT NULL,
    count INTEGER NOT NULL,
    per_ms INTEGER NOT NULL,
    next INTEGER NOT NULL,             -- starts so far
    open_at INTEGER NOT NULL           -- when the next start is allowed
, key BLOB NOT NULL DEFAULT x'', idle_at INTEGER NOT NULL DEFAULT 0, at_most INTEGER NOT NULL DEFAULT 0);
INSERT INTO "rate" VALUES(1,1,3,'default',1,1000,1,1001000,X'',0,0);
CREATE TABLE rate_start (
    rate INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (rate, slot)
) WITHOUT ROWID;
INSERT INTO "rate_start" VALUES(1,0,1000000);
CREATE TABLE rerun (
    run INTEGER PRIMARY KEY,
    original BLOB NOT NULL,            -- id of the run that it repeats
    first INTEGER NOT NULL,            -- of that run
    version INTEGER NOT NULL,          -- of that run when this one was created
    reusable BLOB NOT NULL,            -- nodes whose jobs may be reused, a bit each
    request TEXT NOT NULL              -- what the caller asked for, as JSON
);
CREATE TABLE run (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,            -- id of the first node of the top level
    state INTEGER NOT NULL,            -- 0 running, 1 completed, 2 failed, 3 cancelled
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    version INTEGER NOT NULL
, reset_at INTEGER, ending INTEGER, cancelled_at INTEGER);
INSERT INTO "run" VALUES(1,X'00000000000000000000000000000001','older',1,0,1000000,NULL,10,NULL,NULL,NULL);
CREATE TABLE run_param (
    name TEXT NOT NULL,
    value TEXT NOT NULL,               -- what it is found by, see `param_index`
    created_at INTEGER NOT NULL,       -- that of the run
    run INTEGER NOT NULL,
    PRIMARY KEY (name, value, created_at, run)
) WITHOUT ROWID;
INSERT INTO "run_param" VALUES('day','t2026-11-01',1000000,1);
INSERT INTO "run_param" VALUES('depth','j3',1000000,1);
CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL,                -- what the user said, as JSON
    progress TEXT NOT NULL,            -- how far it is, as JSON
    turn_at INTEGER                    -- when it is looked at next; null if never
);
CREATE TABLE schedule_run (
    run INTEGER PRIMARY KEY,
    schedule TEXT NOT NULL,
    due INTEGER NOT NULL
);
CREATE TABLE sequence (next INTEGER NOT NULL, next_run INTEGER NOT NULL DEFAULT 1);
INSERT INTO "sequence" VALUES(28,2);
CREATE TABLE step_count (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0,
    available INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    pendings INTEGER NOT NULL DEFAULT 0,
    resets INTEGER NOT NULL DEFAULT 0,
    run_ms INTEGER NOT NULL DEFAULT 0, reused INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
INSERT INTO "step_count" VALUES(1,0,0,0,0,1,0,0,1,0,0,0,3,0);
INSERT INTO "step_count" VALUES(1,1,0,9,1,1,1,0,4,0,1,0,9,0);
INSERT INTO "step_count" VALUES(1,2,11,0,0,1,0,0,1,0,0,0,3,0);
INSERT INTO "step_count" VALUES(1,3,0,0,0,1,0,0,1,0,0,0,3,0);
CREATE TABLE step_usage (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    peak_memory INTEGER NOT NULL,
    PRIMARY KEY (run, step, bucket)
) WITHOUT ROWID;
INSERT INTO "step_usage" VALUES(1,1,3,2,8,41943040);
CREATE INDEX job_ready ON job (scope, priority DESC, id) WHERE state = 2 AND rate = 0;
CREATE INDEX job_parked ON job (available_at) WHERE state = 1;
CREATE INDEX job_running ON job (lease_end) WHERE state = 3;
CREATE INDEX fanout_growing ON fanout (id) WHERE expanded < count;
CREATE UNIQUE INDEX rate_step ON rate (run, step, key);
CREATE INDEX rate_idle ON rate (run, step, idle_at) WHERE key <> x'';
CREATE INDEX job_of_rate ON job (rate) WHERE rate > 0;
CREATE INDEX fanout_first ON fanout (run, first);
CREATE INDEX job_isolated ON job (worker) WHERE state = 3 AND isolated = 1;
CREATE INDEX job_suspect ON job (scope, available_at) WHERE state = 2 AND releases >= 3;
CREATE UNIQUE INDEX pipeline_content ON pipeline_version (pipeline, hash);
CREATE INDEX invocation_version ON invocation (pipeline, version);
CREATE INDEX schedule_turn ON schedule (turn_at) WHERE turn_at IS NOT NULL;
CREATE INDEX schedule_run_due ON schedule_run (schedule, due);
CREATE INDEX job_expiring ON job (expires_at) WHERE expires_at IS NOT NULL AND state IN (1, 2);
CREATE INDEX job_counted ON job (rate) WHERE state = 3 AND rate > 0;
CREATE INDEX job_moved ON job (run) WHERE moved = 1;
CREATE INDEX job_rated ON job (rate, scope, priority DESC, id) WHERE state = 2 AND rate > 0;
CREATE INDEX run_created ON run (created_at);
CREATE INDEX run_state ON run (state, created_at);
CREATE INDEX run_name ON run (name, created_at);
CREATE INDEX invocation_pipeline ON invocation (pipeline, created_at, run);
CREATE INDEX run_param_run ON run_param (run);
CREATE INDEX failed_time ON failed (failed_at, job);
CREATE INDEX failed_step ON failed (step, failed_at, job);
CREATE INDEX audit_time ON audit (at);
CREATE INDEX audit_actor ON audit (actor, at);
CREATE INDEX audit_action ON audit (action, at);
CREATE INDEX audit_actor_action ON audit (actor, action, at);
CREATE INDEX audit_run ON audit (run_id, at) WHERE run_id IS NOT NULL;
CREATE INDEX audit_expiring ON audit (at) WHERE has_run = 0;
CREATE INDEX invocation_state ON invocation (pipeline, state, created_at, run);
COMMIT;
PRAGMA user_version=12;
