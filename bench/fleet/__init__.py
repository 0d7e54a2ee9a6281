"""The fleet of targets: model servers by the thousand on loopback addresses, healthy or not."""
