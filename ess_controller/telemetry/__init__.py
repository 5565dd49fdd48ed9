"""What the daemon reports: points of each beat, an outbox on disk that outlives the network, the way to InfluxDB."""
