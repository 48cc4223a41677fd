// Runs no-op jobs through graphile-worker, with batching enabled. `node run_graphile.mjs DATABASE JOBS`, in the folder where it is
// installed, prints {"add_s","run_s","cpu_s"}: the seconds to add the jobs, the seconds to run them until none remain in the
// database, and the processor time of this process for both.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { makeWorkerUtils, runOnce, Logger } = require("graphile-worker");
const { Pool } = require("pg");

const [database, text] = process.argv.slice(2);
const jobs = Number(text);
const pgPool = new Pool({ connectionString: database, max: 30 });
pgPool.on("error", (error) => console.error(error));
const logger = new Logger(() => () => {});
const preset = {
  worker: {
    concurrentJobs: 100,
    maxPoolSize: 30,
    localQueue: { size: 2000 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    logger,
  },
};

const utils = await makeWorkerUtils({ pgPool, logger });
await utils.migrate();
const seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9;

const before = process.cpuUsage();
const addingSince = process.hrtime.bigint();
for (let from = 0; from < jobs; from += 1000) {
  const count = Math.min(1000, jobs - from);
  const specs = Array.from({ length: count }, (_, at) => ({ identifier: "none", payload: { id: from + at } }));
  await utils.addJobs(specs);
}
const add_s = seconds(addingSince);

let done = 0;
const runningSince = process.hrtime.bigint();
await runOnce({ preset, pgPool, taskList: { none: () => void done++ } });
const run_s = seconds(runningSince);
const cpu = process.cpuUsage(before);

const { rows } = await pgPool.query("select count(*)::int as remaining from graphile_worker._private_jobs");
if (done < jobs || rows[0].remaining > 0) throw new Error(`${done} of ${jobs} jobs ran, ${rows[0].remaining} remain`);
console.log(JSON.stringify({ add_s, run_s, cpu_s: (cpu.user + cpu.system) / 1e6 }));
await pgPool.end();
