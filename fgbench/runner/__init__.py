"""Plan, encode, store: from the requests of many datasets to embeddings, each distinct input encoded once."""
