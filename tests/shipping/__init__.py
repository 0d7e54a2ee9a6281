"""What is shipped beside the package: the image, the manifests, the alerts; read as files, without a cluster."""
