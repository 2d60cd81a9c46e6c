# Airflow's own image with what requirements.txt locks, and nothing else: an environment of its own, so that none of the
# providers that the image brings along stands beside ours at another version. DAGs, plugins and include/ are mounted
# (docker-compose.yaml) or added by whoever deploys (docs/deployment.md).
#
# The version is the lock's; a test compares.
FROM apache/airflow:3.3.2-python3.11

ENV VIRTUAL_ENV=/opt/airflow/venv
COPY requirements.txt /opt/airflow/requirements.txt
# pip refuses whatever has not one of the lock's hashes, and resolves nothing.
RUN python -m venv "$VIRTUAL_ENV" \
    && PIP_USER=false "$VIRTUAL_ENV/bin/pip" install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps --requirement /opt/airflow/requirements.txt
ENV PATH="$VIRTUAL_ENV/bin:$PATH" PYTHONPATH=/opt/airflow/include

# Mounted volumes take owner and rights of the folder that they cover: group 0 is everybody's in Airflow's image.
RUN mkdir -p /opt/airflow/data /opt/airflow/logs && chmod g+w /opt/airflow/data /opt/airflow/logs
