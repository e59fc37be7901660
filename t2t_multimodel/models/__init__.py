"""The network: encoder, mixer and decoder between the modality nets."""
