// kafkajs: creates a topic, produces with and without gzip, with keys, headers and nulls, idempotent too; the offsets
// that it is told are dense. Prints what it sent, one `partition offset key value` a line.
// Usage: node produce.js HOST:PORT TOPIC
const fs = require('fs')
const { Kafka, CompressionTypes, Partitioners, logLevel } = require('kafkajs')

const [bootstrap, topic] = process.argv.slice(2)
const PARTITIONS = 3
const BATCHES = 60
const PER_BATCH = 100

async function main() {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR, clientId: 'ringlog-ci' })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1 }], waitForLeaders: true })
  const ends = Array(PARTITIONS).fill(0)
  const lines = []
  for (const idempotent of [false, true]) {
    const producer = kafka.producer({ idempotent, createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    for (let batch = 0; batch < BATCHES; batch++) {
      const partition = batch % PARTITIONS
      const messages = Array.from({ length: PER_BATCH }, (_, i) => ({
        partition,
        key: i % 5 ? `key ${i}` : null,
        value: i % 7 ? `value ${batch} ${i} ${'x'.repeat(i)}` : '',
        headers: { h: `${i}` },
      }))
      const compression = batch % 2 ? CompressionTypes.GZIP : CompressionTypes.None
      const [result] = await producer.send({ topic, acks: -1, compression, messages })
      if (result.errorCode !== 0 || Number(result.baseOffset) !== ends[partition]) {
        throw new Error(`batch ${batch}: ${JSON.stringify(result)}, wanted offset ${ends[partition]}`)
      }
      for (const { key, value } of messages) lines.push(`${partition}|${ends[partition]++}|${key ?? ''}|${value}`)
    }
    await producer.disconnect()
  }
  const offsets = await admin.fetchTopicOffsets(topic)
  for (const { partition, low, high } of offsets) {
    if (Number(low) !== 0 || Number(high) !== ends[partition]) throw new Error(`offsets ${JSON.stringify(offsets)}`)
  }
  await admin.disconnect()
  fs.writeSync(1, lines.join('\n') + '\n')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
