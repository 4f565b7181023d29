FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN mkdir -p -m 0700 /out/data && \
    CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /out/nearside .

# Nothing but the program: time zones, the country database and the tag are
# inside it, and it calls nobody, so it needs no certificates.
FROM scratch
COPY --from=build /out/nearside /nearside
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV NEARSIDE_ADDR=0.0.0.0:8080 NEARSIDE_DATA=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s CMD ["/nearside", "health"]
ENTRYPOINT ["/nearside"]
CMD ["serve"]
