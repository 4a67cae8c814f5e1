// Consumer groups with kafkajs: members join, leave and come back while records flow; every record arrives.
// Usage: node groups.js HOST:PORT  (kafkajs where node finds it)
const { Kafka, logLevel } = require('kafkajs');

async function main() {
  const kafka = new Kafka({ clientId: 'groups', brokers: [process.argv[2]], logLevel: logLevel.NOTHING });
  const name = `kafkajs-${Date.now()}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: name, numPartitions: 6 }] });
  const got = new Map();
  const start = async () => {
    const consumer = kafka.consumer({ groupId: name, sessionTimeout: 6000, heartbeatInterval: 500 });
    await consumer.connect();
    await consumer.subscribe({ topics: [name], fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => {
      const key = message.value.toString();
      got.set(key, (got.get(key) || 0) + 1);
    } });
    return consumer;
  };
  const members = [await start(), await start()];
  const producer = kafka.producer();
  await producer.connect();
  let sent = 0;
  for (let round = 0; round < 6; round++) {
    const messages = [];
    for (let i = 0; i < 300; i++) messages.push({ value: String(sent++), partition: i % 6 });
    await producer.send({ topic: name, messages });
    if (round % 2 === 0) members.push(await start());
    else await members.shift().disconnect();
    await new Promise(done => setTimeout(done, 1500));
  }
  for (let i = 0; i < 120 && got.size < sent; i++) await new Promise(done => setTimeout(done, 250));
  const described = await admin.describeGroups([name]);
  const again = [...got.values()].reduce((sum, count) => sum + count, 0) - got.size;
  console.log(`kafkajs: ${got.size} of ${sent} records, ${again} again, group ${described.groups[0].state}`);
  for (const member of members) await member.disconnect();
  const offsets = await admin.fetchOffsets({ groupId: name, topics: [name] });
  const committed = offsets[0].partitions.reduce((sum, p) => sum + Number(p.offset), 0);
  await admin.deleteGroups([name]);
  await producer.disconnect();
  await admin.disconnect();
  if (got.size < sent || committed !== sent || described.groups[0].state !== 'Stable') {
    throw new Error(`FAILED: committed ${committed}`);
  }
  console.log('ok groups kafkajs');
}
main().catch(error => { console.error(error); process.exit(1); });
