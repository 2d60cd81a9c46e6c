"""What waits for AWS without a worker: one trigger for one window execution, or one batch of images."""
