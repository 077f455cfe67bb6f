#!/usr/bin/env bash
# Prints the Secrets that the manifests refer to, with new random values, and a certificate for MLflow that signs itself.
#
#   deploy/kuberay/secrets.sh | kubectl apply -f -        once; a second time would change every password
set -euo pipefail
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

random() { openssl rand -hex 32; }
encoded() { base64 -w0 <"$1"; }

openssl req -x509 -newkey rsa:3072 -nodes -days 825 -subj /CN=mlflow -addext subjectAltName=DNS:mlflow,DNS:localhost \
    -keyout "$folder/key" -out "$folder/crt" 2>/dev/null

cat <<END
apiVersion: v1
kind: Secret
metadata: {name: selfish-ray-token, namespace: selfish}
type: Opaque
stringData: {auth_token: $(random)}
---
apiVersion: v1
kind: Secret
metadata: {name: selfish-postgres, namespace: selfish}
type: Opaque
stringData: {password: $(random)}
---
apiVersion: v1
kind: Secret
metadata: {name: selfish-mlflow, namespace: selfish}
type: Opaque
stringData: {admin-password: $(random), secret-key: $(random)}
---
apiVersion: v1
kind: Secret
metadata: {name: selfish-tracking, namespace: selfish}
type: Opaque
stringData: {MLFLOW_TRACKING_USERNAME: selfish, MLFLOW_TRACKING_PASSWORD: $(random)}
---
apiVersion: v1
kind: Secret
metadata: {name: selfish-mlflow-tls, namespace: selfish}
type: kubernetes.io/tls
data: {tls.crt: $(encoded "$folder/crt"), tls.key: $(encoded "$folder/key")}
END
