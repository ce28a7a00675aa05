"""The faces of the cloud over HTTP. Nothing here decides anything."""
