"""Steps of a release that wait for AWS."""
