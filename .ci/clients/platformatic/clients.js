// @platformatic/kafka: makes a topic, produces idempotently with every codec, reads as a group of two members one after the
// other (the classic protocol, then KIP-848), each record once. Prints what it sent, `partition|key|value` a line.
// Usage: node clients.js HOST:PORT TOPIC
import { Admin, Consumer, ProduceAcks, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'

const [bootstrap, topic] = process.argv.slice(2)
const PARTITIONS = 3
const PER_CODEC = 1000
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const common = { clientId: 'ringlog-ci', bootstrapBrokers: [bootstrap] }

async function produce() {
  const lines = []
  for (const compression of CODECS) {
    const producer = new Producer({ ...common, serializers: stringSerializers, idempotent: true, acks: ProduceAcks.ALL, compression })
    for (let start = 0; start < PER_CODEC; start += 100) {
      const messages = Array.from({ length: 100 }, (_, i) => ({
        topic,
        partition: (start + i) % PARTITIONS,
        key: `key ${(start + i) % 50}`,
        value: `${compression} ${start + i} ${'x'.repeat(i)}`,
        headers: { h: `${i}` },
      }))
      await producer.send({ messages })
      for (const { partition, key, value } of messages) lines.push(`${partition}|${key}|${value}`)
    }
    await producer.close()
  }
  return lines
}

// Reads `count` records, commits and leaves.
async function read(groupId, groupProtocol, count) {
  const consumer = new Consumer({ ...common, groupId, groupProtocol, deserializers: stringDeserializers, maxWaitTime: 200 })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
  const lines = []
  const ends = new Map()
  for await (const { partition, key, value, offset } of stream) {
    lines.push(`${partition}|${key}|${value}`)
    ends.set(partition, offset)
    if (lines.length === count) break
  }
  const offsets = [...ends].map(([partition, offset]) => ({ topic, partition, offset: offset + 1n, leaderEpoch: 0 }))
  await consumer.commit({ offsets })
  await consumer.close(true)
  return lines
}

const admin = new Admin(common)
await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 })
const sent = await produce()
for (const protocol of ['classic', 'consumer']) {
  const half = Math.floor(sent.length / 2)
  const got = [...(await read(`${topic}-${protocol}`, protocol, half)), ...(await read(`${topic}-${protocol}`, protocol, sent.length - half))]
  if (got.sort().join() !== [...sent].sort().join()) throw new Error(`${protocol}: read ${got.length}, sent ${sent.length}`)
  console.error(`ok @platformatic/kafka group, ${protocol}`)
}
await admin.close()
process.stdout.write(sent.join('\n') + '\n')
