"""The add-on service under load: 200 clusters, some of them dead, and clients that ask how add-ons are."""
