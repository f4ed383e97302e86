"""Makes Amazon Bedrock access denials on inference profiles go away, carefully."""
