"""What publishes: committed rows become messages, one small loop. ``python -m pixmill_shared.dispatcher``."""
