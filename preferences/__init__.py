"""The people's door: the web pages behind the link in each newsletter, and the receiver of form webhooks."""
