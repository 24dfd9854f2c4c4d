# Stands in for nats:2.15.1-alpine.
FROM omoios-local/python-git
COPY nats-server /usr/local/bin/nats-server
RUN chmod 755 /usr/local/bin/nats-server
ENTRYPOINT ["nats-server"]
