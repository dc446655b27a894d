FROM python:3.12-slim
WORKDIR /opt/opsbridge
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir '.[compression]'
COPY topology ./topology
COPY correlation_rules ./correlation_rules
COPY known_errors ./known_errors
USER nobody
ENTRYPOINT ["opsbridge"]
CMD ["run"]
