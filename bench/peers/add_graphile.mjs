// Adds jobs to graphile-worker, one in each call of `add_job`. `node add_graphile.mjs DATABASE JOBS CONNECTIONS`, in the folder
// where it is installed, prints {"single_s","batch_s"}: the seconds to add the jobs one by one over the connections, and in batches
// of a thousand.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { makeWorkerUtils, Logger } = require("graphile-worker");
const { Pool } = require("pg");

const [database, jobsText, connectionsText] = process.argv.slice(2);
const [jobs, connections] = [Number(jobsText), Number(connectionsText)];
const pgPool = new Pool({ connectionString: database, max: connections });
pgPool.on("error", (error) => console.error(error));

const utils = await makeWorkerUtils({ pgPool, logger: new Logger(() => () => {}) });
await utils.migrate();
const seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9;

let next = 0;
const addOneByOne = async () => {
  while (next < jobs) await utils.addJob("none", { id: next++ });
};
const singleSince = process.hrtime.bigint();
await Promise.all(Array.from({ length: connections }, addOneByOne));
const single_s = seconds(singleSince);

const batchSince = process.hrtime.bigint();
for (let from = 0; from < jobs; from += 1000) {
  const count = Math.min(1000, jobs - from);
  await utils.addJobs(Array.from({ length: count }, (_, at) => ({ identifier: "none", payload: { id: from + at } })));
}
const batch_s = seconds(batchSince);

const { rows } = await pgPool.query("select count(*)::int as added from graphile_worker._private_jobs");
if (rows[0].added !== 2 * jobs) throw new Error(`${rows[0].added} of ${2 * jobs} jobs were added`);
console.log(JSON.stringify({ single_s, batch_s }));
await pgPool.end();
