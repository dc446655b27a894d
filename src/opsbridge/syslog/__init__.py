"""A syslog listener: messages of TCP, TLS and UDP senders become records of the input topic, one each, as they came."""
