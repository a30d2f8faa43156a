"""HTTP requests to servers, and the credentials they want."""
