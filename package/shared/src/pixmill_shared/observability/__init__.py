"""What operators see: log lines, metrics, health."""
