@powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0henge.ps1" %*
