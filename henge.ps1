# Runs Henge from a clone on Windows: builds it when sources are newer than the last build, then runs it with the arguments given.
$ErrorActionPreference = 'Stop'
$root = $PSScriptRoot
$out = Join-Path $root 'artifacts/henge'
$stamp = Join-Path $out '.built'
$program = Join-Path $out 'henge.exe'

function Test-Fresh {
    if (-not ((Test-Path $stamp) -and (Test-Path $program))) { return $false }
    $built = (Get-Item $stamp).LastWriteTimeUtc
    $newer = Get-ChildItem (Join-Path $root 'src'), (Join-Path $root 'proto') -Recurse -File |
        Where-Object { $_.FullName -notmatch '[\\/](bin|obj)[\\/]' -and $_.LastWriteTimeUtc -gt $built } |
        Select-Object -First 1
    return $null -eq $newer
}

if (-not (Test-Fresh)) {
    if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) {
        [Console]::Error.WriteLine("henge: the .NET 10 SDK is needed to build Henge, and there is no 'dotnet' on the PATH. See https://dotnet.microsoft.com/download")
        exit 127
    }
    [Console]::Error.WriteLine('henge: building (once, and again when sources change) ...')
    $started = (Get-Date).ToUniversalTime()
    dotnet publish (Join-Path $root 'src/Henge.Tool/Henge.Tool.csproj') -c Release -v minimal -nologo -p:HengePublish=true -o $out | ForEach-Object { if ($_ -match '^\s*(\S+) -> ') { [Console]::Error.WriteLine('  compiled ' + $Matches[1]) } elseif ($_ -match 'error|warning') { [Console]::Error.WriteLine($_) } }
    if ($LASTEXITCODE -ne 0) { exit 1 }
    Set-Content -Path $stamp -Value ''
    (Get-Item $stamp).LastWriteTimeUtc = $started
}

& $program @args
exit $LASTEXITCODE
