"""What the data is made of, how it is stored, and how it becomes batches."""
