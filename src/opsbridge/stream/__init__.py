"""The Faust application: topics, batches, lanes, state tables, outbox. Only this room imports faust and aiokafka."""
