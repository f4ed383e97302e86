"""The domain, pure: no boto3, no clock, no environment, no I/O."""
