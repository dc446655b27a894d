"""What comes in over the network: the HTTP gateway, and the producing that it shares with the syslog listener."""
