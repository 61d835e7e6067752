// The job with KafkaJS, as its documentation shows it: eachMessage with a send for each
// record, or eachBatch with a send for each batch.
const { Kafka, logLevel } = require('kafkajs')

const [mode, brokers, source, groupId, out] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'bench', brokers: brokers.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId })
const producer = kafka.producer()

const passes = (message) => JSON.parse(message.value.toString()).amount >= 50
const copy = ({ key, value }) => ({ key, value })

const ways = {
  eachMessage: {
    eachMessage: async ({ message }) => {
      if (passes(message)) {
        await producer.send({ topic: out, messages: [copy(message)] })
      }
    },
  },
  eachBatch: {
    partitionsConsumedConcurrently: 6,
    eachBatch: async ({ batch }) => {
      const messages = batch.messages.filter(passes).map(copy)
      if (messages.length > 0) {
        await producer.send({ topic: out, messages })
      }
    },
  },
}

async function main() {
  await producer.connect()
  await consumer.connect()
  await consumer.subscribe({ topic: source, fromBeginning: true })
  await consumer.run(ways[mode])
}

process.on('SIGTERM', async () => {
  await consumer.disconnect()
  await producer.disconnect()
  process.exit(0)
})
main().catch((err) => {
  console.error(err)
  process.exit(1)
})
