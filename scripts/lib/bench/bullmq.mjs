// The same work for BullMQ as for Reelway's tasks: empty jobs on one Redis, a worker in a process of its own.
//
//   node bullmq.mjs fill REDIS_PORT QUEUE COUNT            adds COUNT jobs
//   node bullmq.mjs drain REDIS_PORT QUEUE COUNT SLOTS     processes COUNT jobs; prints {"seconds"}
//   node bullmq.mjs add REDIS_PORT QUEUE COUNT RATE        adds COUNT jobs at RATE a second; prints {id: [called, returned]}
//   node bullmq.mjs start REDIS_PORT QUEUE COUNT SLOTS     processes COUNT jobs; prints when each was started, by its id
import { createRequire } from "node:module";

const require = createRequire(process.env.BULLMQ_DIR + "/");
const { Queue, Worker } = require("bullmq");

const [role, port, name, count, value] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const total = Number(count);
const clean = { removeOnComplete: true, removeOnFail: true };
const now = () => performance.timeOrigin + performance.now();

if (role === "fill") {
  const queue = new Queue(name, { connection });
  for (let from = 0; from < total; from += 500) {
    const jobs = Array.from({ length: Math.min(500, total - from) }, () => ({ name: "empty", data: {}, opts: clean }));
    await queue.addBulk(jobs);
  }
  await queue.close();
} else if (role === "add") {
  const queue = new Queue(name, { connection });
  await queue.waitUntilReady();
  const began = now();
  const asked = {};
  const adding = [];
  const add = async () => {
    const called = now();
    const job = await queue.add("empty", {}, clean);
    asked[job.id] = [called, now()];
  };
  for (let i = 0; i < total; i++) {
    const due = began + (i * 1000) / Number(value);
    const pause = due - now();
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    adding.push(add());
  }
  await Promise.all(adding);
  console.log(JSON.stringify(asked));
  await queue.close();
} else {
  const started = {};
  let done = 0;
  let finish;
  const finished = new Promise((resolve) => (finish = resolve));
  let began;
  const work = async (job) => {
    began ??= now();
    if (role === "start") started[job.id] = now();
  };
  const worker = new Worker(name, work, { connection, concurrency: Number(value) });
  worker.on("completed", () => {
    if (++done === total) finish();
  });
  await worker.waitUntilReady();
  console.log("ready");
  await finished;
  const seconds = (now() - began) / 1000;
  console.log(JSON.stringify(role === "start" ? started : { seconds }));
  await worker.close();
}
