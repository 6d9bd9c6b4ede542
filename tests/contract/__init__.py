"""What every log must do, written once against the port; run on the memory log and on Kafka."""
