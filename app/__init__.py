"""The attrition API: one process serves one release, and hands its public port to the next.

It reads a release through `contract` and imports neither `training` nor `infra`: the image carries
FastAPI, uvicorn and the standard library, no numpy and no scikit-learn.
"""
