// Drives Henge's gRPC API with the stock Node.js client. One line for each check; usage: client.js HOST:PORT PROTO_DIR.
'use strict';
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, protoDir] = process.argv.slice(2);
const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true, includeDirs: [protoDir] };
const load = (file) => grpc.loadPackageDefinition(loader.loadSync(path.join(protoDir, file), options));
const { KVStore } = load('henge/v1/kv.proto').henge.v1;
const { Cluster } = load('henge/v1/cluster.proto').henge.v1;
const { Health } = load('health_v1.proto').grpc.health.v1;
const limits = { 'grpc.max_receive_message_length': 64 << 20, 'grpc.max_send_message_length': 64 << 20 };
const open = (Service, more = {}) => new Service(address, grpc.credentials.createInsecure(), { ...limits, ...more });

const store = open(KVStore);
const tag = `js${process.pid}:`;
const key = (name) => Buffer.from(tag + name);
const soon = (ms = 15000) => ({ deadline: Date.now() + ms });
let failures = 0;

const call = (client, method, request, more = soon()) =>
  new Promise((resolve, reject) => client[method](request, new grpc.Metadata(), more, (error, answer) => (error ? reject(error) : resolve(answer))));

const collect = (stream, count = Infinity) =>
  new Promise((resolve, reject) => {
    const all = [];
    stream.on('data', (message) => {
      all.push(message);
      if (all.length === count) resolve(all);
    });
    stream.on('error', (error) => reject(error));
    stream.on('end', () => resolve(all));
  });

const expect = (condition, detail = 'not as expected') => {
  if (!condition) throw new Error(detail);
};

const expectError = async (promise, code, words = '', henge = undefined) => {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  expect(error, 'there was no error');
  expect(error.code === code, `status ${error.code} (${error.details}) instead of ${code}`);
  expect(error.details.includes(words), `"${words}" is not in: ${error.details}`);
  if (henge !== undefined) {
    const trailer = error.metadata.get('henge-error')[0];
    expect(trailer === String(henge), `henge-error is ${trailer} instead of ${henge}`);
  }
};

const checks = [
  ['put, get, delete', async () => {
    const put = await call(store, 'Put', { key: key('a'), value: Buffer.from('one') });
    expect(put.success && put.version > 0);
    const got = await call(store, 'Get', { key: key('a') });
    expect(got.found && got.value.toString() === 'one' && got.version === put.version);
    expect((await call(store, 'Delete', { key: key('a') })).success);
    expect(!(await call(store, 'Get', { key: key('a') })).found);
  }],
  ['errors with words and trailers', async () => {
    await expectError(call(store, 'Get', {}), grpc.status.INVALID_ARGUMENT, 'The key is not set', 1);
    await expectError(call(store, 'Put', { key: key('x'), value: Buffer.alloc((4 << 20) + 1) }), grpc.status.INVALID_ARGUMENT, 'limit is 4194304', 2);
    await expectError(call(store, 'Put', { key: key('x'), value: Buffer.alloc(17 << 20) }), grpc.status.RESOURCE_EXHAUSTED, 'over the limit', 2);
  }],
  ['unknown methods are UNIMPLEMENTED', async () => {
    const bytes = (b) => b;
    await expectError(new Promise((resolve, reject) =>
      store.makeUnaryRequest('/henge.v1.KVStore/Fly', bytes, bytes, Buffer.alloc(0), (error, answer) => (error ? reject(error) : resolve(answer)))),
    grpc.status.UNIMPLEMENTED, 'no method');
  }],
  ['large values both ways', async () => {
    const value = Buffer.alloc(4 << 20, 'abc');
    await call(store, 'Put', { key: key('large'), value });
    expect((await call(store, 'Get', { key: key('large') })).value.equals(value));
  }],
  ['scans and streams of pages', async () => {
    await Promise.all([...Array(100).keys()].map((i) => call(store, 'Put', { key: key(`scan${String(i).padStart(3, '0')}`), value: Buffer.alloc(50_000) })));
    expect((await call(store, 'Scan', { prefix: key('scan'), limit: 10 })).pairs.length === 10);
    const pages = await collect(store.ScanStream({ prefix: key('scan') }));
    expect(pages.length > 1 && pages.reduce((sum, page) => sum + page.pairs.length, 0) === 100);
  }],
  ['transactions', async () => {
    const name = key('{t}');
    const answer = await call(store, 'Txn', { compare: [{ key: name, exists: false }], then: [{ put: { key: name, value: Buffer.from('1') } }] });
    expect(answer.succeeded && answer.results[0].put.success);
  }],
  ['watches: headers at once, live events, cancellation', async () => {
    const watch = store.Watch({ key_prefix: key('w') });
    await new Promise((resolve, reject) => {
      watch.once('metadata', resolve);
      watch.once('error', reject);
    });
    const events = collect(watch, 3);
    for (const value of ['1', '2', '3']) await call(store, 'Put', { key: key('w'), value: Buffer.from(value) });
    expect((await events).map((e) => e.value.toString()).join('') === '123');
    const ended = new Promise((resolve) => watch.once('error', resolve));
    watch.cancel();
    expect((await ended).code === grpc.status.CANCELLED);
  }],
  ['deadlines of streams', async () => {
    await expectError(collect(store.Watch({ key_prefix: key('none') }, soon(200))), grpc.status.DEADLINE_EXCEEDED);
  }],
  ['sessions of batches', async () => {
    const session = store.Session(soon());
    const seen = new Map();
    const ended = new Promise((resolve, reject) => {
      session.on('data', (message) => message.results.forEach((result) => seen.set(result.id, result)));
      session.on('error', reject);
      session.on('end', resolve);
    });
    for (let batch = 0; batch < 10; batch++) {
      session.write({ operations: [...Array(100).keys()].map((i) => ({ id: batch * 100 + i, put: { key: key(`s${batch * 100 + i}`), value: Buffer.from('v') } })) });
    }
    session.write({ operations: [{ id: 5000, get: {} }] });
    session.end();
    await ended;
    expect(seen.size === 1001 && seen.get(7).put.success && seen.get(5000).error.code === 1, `${seen.size} answers`);
  }],
  ['gzip both ways', async () => {
    const packed = open(KVStore, { 'grpc.default_compression_algorithm': 2 });
    await call(packed, 'Put', { key: key('gzip'), value: Buffer.alloc(500_000) });
    expect((await call(packed, 'Get', { key: key('gzip') })).value.length === 500_000);
    packed.close();
  }],
  ['a thousand calls at once', async () => {
    const answers = await Promise.all([...Array(1000).keys()].map((i) => call(store, 'Put', { key: key(`m${i % 50}`), value: Buffer.from(String(i)) })));
    expect(answers.every((answer) => answer.success));
  }],
  ['metadata of binary and text', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-text', 'hello');
    metadata.set('x-raw-bin', Buffer.from([0, 1, 255]));
    const got = await new Promise((resolve, reject) => store.Get({ key: key('large') }, metadata, soon(), (error, answer) => (error ? reject(error) : resolve(answer))));
    expect(got.found);
  }],
  ['health and status', async () => {
    const health = open(Health);
    expect((await call(health, 'Check', { service: 'henge.v1.KVStore' })).status === 'SERVING');
    await expectError(call(health, 'Check', { service: 'nothing' }), grpc.status.NOT_FOUND);
    health.close();
    expect((await call(store, 'NodeStatus', {})).role === 'leader');
    const cluster = open(Cluster);
    expect((await call(cluster, 'Topology', {})).shards.length > 0);
    cluster.close();
  }],
];

(async () => {
  for (const [name, run] of checks) {
    try {
      await run();
      console.log(`ok    node: ${name}`);
    } catch (error) {
      failures++;
      console.log(`FAIL  node: ${name}  ${String(error.message).replace(/\n/g, ' ').slice(0, 300)}`);
    }
  }
  store.close();
  process.exit(failures === 0 ? 0 : 1);
})();
