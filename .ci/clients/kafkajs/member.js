// A member of a group for groups_members.py, with kafkajs (npm). Usage: node member.js HOST:PORT TOPIC GROUP
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic, group] = process.argv.slice(2)
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n')

async function main() {
  const kafka = new Kafka({ clientId: `member-${process.pid}`, brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
  let held = []
  const lose = () => { say({ revoked: held }); held = [] }
  consumer.on(consumer.events.REBALANCING, lose)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    lose()
    held = payload.memberAssignment[topic] || []
    say({ assigned: held })
  })
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    const partitions = payload.topics.flatMap(({ partitions }) => partitions)
    say({ committed: partitions.map(({ partition, offset }) => [Number(partition), Number(offset)]) })
  })
  process.on('SIGTERM', () => consumer.disconnect().finally(() => process.exit(0)))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: true,
    autoCommitThreshold: 50,
    autoCommitInterval: 500,
    eachMessage: async ({ partition, message }) => {
      say({ got: [partition, Number(message.offset), message.value.toString()] })
    },
  })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
